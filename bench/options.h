/* SPDX-License-Identifier: Apache-2.0
 * Command lines. A program describes itself in one table; parsing, --help and the man page all come from it.
 *
 *     static struct config config = { .threads = 0 };      (the defaults, set before parsing)
 *     const int status = options_parse(&program, argc, argv, &config, &first);
 *     if (status != OPTIONS_RUN)
 *         return status;
 *     ...argv[first] and what follows are the operands
 *
 * --help, --version and --man (the page in troff, which the build installs) belong to every program. */
#ifndef BENCH_OPTIONS_H
#define BENCH_OPTIONS_H

#include <stdio.h>
#include "cvl/base.h"

#define EXIT_BAD_USAGE 2
#define OPTIONS_RUN (-1)

/* What a flag sets in the program's own struct, at `offset`. */
enum flag_kind {
    FLAG_SET,      /* bool: true */
    FLAG_TEXT,     /* const char * */
    FLAG_COUNT,    /* int from low to high */
    FLAG_NUMBER,   /* double from low to high */
    FLAG_BYTES,    /* size_t: a whole number, with K, M or G for units of 1024 */
    FLAG_WORD,     /* int: which of the words in `argument` */
    FLAG_CALL      /* what `call` does with the value */
};

/* CVL_EINVAL after cvl_fail: the value and what was expected, as in "'x' is not a network". */
typedef cvl_status flag_fn(void *config, const char *value);

struct flag {
    const char    *name;       /* "threads" */
    const char    *argument;   /* "N"; FLAG_WORD: "hot|cold-filter|cold"; NULL: none */
    const char    *initial;    /* the default as --help tells it; NULL: none */
    const char    *help;       /* a sentence */
    enum flag_kind kind;
    size_t         offset;
    double         low, high;
    flag_fn       *call;
    char           letter;     /* 'o': also -o; 0: none */
    bool           repeats;
};

struct note { const char *name, *text; };

/* Lists end with a NULL name; a NULL list is left out. */
struct program {
    const char        *name, *summary;   /* "conv-bench", "measure rival convolution algorithms" */
    const char        *description;      /* paragraphs, separated by newlines */
    const struct flag *flags;
    const struct note *commands;         /* "export [--cache PATH] OUT"; NULL: flags alone */
    const struct note *environment, *exits, *examples;
};

/* OPTIONS_RUN, or the exit status: 0 after --help and the like, EXIT_BAD_USAGE after one sentence on stderr. */
int options_parse(const struct program *program, int argc, char **argv, void *config, int *first_operand);

/* "conv-bench: SENTENCE" to stderr; returns EXIT_BAD_USAGE. NULL: cvl_last_error(). */
int options_refuse(const struct program *program, const char *sentence);

/* What every program has besides its own flags. */
extern const struct flag options_common[];

void options_help(const struct program *program, FILE *to);
void options_man(const struct program *program, FILE *to);

#endif
