/* SPDX-License-Identifier: Apache-2.0
 * Parsing by getopt_long, whose list of options is made from the program's table. */
#include "bench/options.h"

#include <getopt.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"
#include "base/text.h"

#define FLAGS_MAX 64
#define FLAG_VALUE 256   /* getopt's number of the first flag: above every letter */

enum common { COMMON_VERSION, COMMON_HELP, COMMON_MAN, COMMON_COUNT };

const struct flag options_common[] = {
    [COMMON_VERSION] = { .name = "version", .help = "Print the version." },
    [COMMON_HELP] = { .name = "help", .help = "Print this text." },
    [COMMON_MAN] = { .name = "man", .help = "Print the manual page, in troff." },
    { .name = NULL },
};

static cvl_status set_count(const struct flag *flag, void *target, const char *value)
{
    long long number;
    if (!cvl_text_int(value, strlen(value), (long long)flag->low, (long long)flag->high, &number))
        return cvl_fail(CVL_EINVAL, "'%s' is not a whole number from %.0f to %.0f", value, flag->low, flag->high);
    *(int *)target = (int)number;
    return CVL_OK;
}

static cvl_status set_number(const struct flag *flag, void *target, const char *value)
{
    double number;
    if (!cvl_text_double(value, strlen(value), &number) || number < flag->low || number > flag->high)
        return cvl_fail(CVL_EINVAL, "'%s' is not a number from %g to %g", value, flag->low, flag->high);
    *(double *)target = number;
    return CVL_OK;
}

static cvl_status set_bytes(const struct flag *flag, void *target, const char *value)
{
    static const char units[] = "KMG";
    size_t length = strlen(value);
    int shift = 0;
    const char *unit = length ? strchr(units, value[length - 1]) : NULL;
    if (unit) {
        shift = 10 * (int)(unit - units + 1);
        length--;
    }
    long long number;
    if (!cvl_text_int(value, length, 0, INT64_MAX >> shift, &number))
        return cvl_fail(CVL_EINVAL, "'%s' is not a number of bytes, such as 65536, 64K, 16M or 2G", value);
    *(size_t *)target = (size_t)number << shift;
    return CVL_OK;
}

static cvl_status set_word(const struct flag *flag, void *target, const char *value)
{
    int index = 0;
    for (const char *word = flag->argument;; index++) {
        const size_t length = strcspn(word, "|");
        if (strlen(value) == length && memcmp(word, value, length) == 0) {
            *(int *)target = index;
            return CVL_OK;
        }
        if (!word[length])
            return cvl_fail(CVL_EINVAL, "'%s' is not one of %s", value, flag->argument);
        word += length + 1;
    }
}

static cvl_status set_true(const struct flag *flag, void *target, const char *value)
{
    *(bool *)target = true;
    return CVL_OK;
}

static cvl_status set_text(const struct flag *flag, void *target, const char *value)
{
    *(const char **)target = value;
    return CVL_OK;
}

static cvl_status (*const setters[])(const struct flag *, void *, const char *) = {
    [FLAG_SET] = set_true, [FLAG_TEXT] = set_text, [FLAG_COUNT] = set_count, [FLAG_NUMBER] = set_number,
    [FLAG_BYTES] = set_bytes, [FLAG_WORD] = set_word,
};

int options_refuse(const struct program *program, const char *sentence)
{
    fprintf(stderr, "%s: %s\n", program->name, sentence ? sentence : cvl_last_error());
    return EXIT_BAD_USAGE;
}

static int apply(const struct program *program, const struct flag *flag, void *config, const char *value)
{
    const cvl_status status = flag->kind == FLAG_CALL
        ? flag->call(config, value) : setters[flag->kind](flag, (char *)config + flag->offset, value);
    if (status == CVL_OK)
        return OPTIONS_RUN;
    fprintf(stderr, "%s: --%s %s\n", program->name, flag->name, cvl_last_error());
    return EXIT_BAD_USAGE;
}

static int answer(const struct program *program, enum common which)
{
    if (which == COMMON_VERSION)
        printf("%s %s\n", program->name, cvl_version());
    else if (which == COMMON_HELP)
        options_help(program, stdout);
    else
        options_man(program, stdout);
    return fflush(stdout) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* getopt's complaint in our words. `option`: ':' where an argument lacks, '?' for anything else. */
static int complain(const struct program *program, const struct flag *const *flags, int option, char *const *argv)
{
    const struct flag *known = optopt >= FLAG_VALUE ? flags[optopt - FLAG_VALUE] : NULL;
    if (option == ':' && known)
        fprintf(stderr, "%s: --%s needs an argument: %s\n", program->name, known->name, known->argument);
    else if (known)
        fprintf(stderr, "%s: --%s takes no argument\n", program->name, known->name);
    else if (option == ':')
        fprintf(stderr, "%s: -%c needs an argument\n", program->name, optopt);
    else
        fprintf(stderr, "%s: there is no flag '%s', or it is not spelled out; see %s --help\n", program->name,
                argv[optind - 1], program->name);
    return EXIT_BAD_USAGE;
}

int options_parse(const struct program *program, int argc, char **argv, void *config, int *first_operand)
{
    const struct flag *flags[FLAGS_MAX];
    struct option longs[FLAGS_MAX + 1] = { { 0 } };
    char letters[2 * FLAGS_MAX + 2] = ":";
    int count = 0;
    for (const struct flag *flag = program->flags; flag->name; flag++)
        flags[count++] = flag;
    const int own = count;
    for (const struct flag *flag = options_common; flag->name; flag++)
        flags[count++] = flag;
    for (int i = 0; i < count; i++) {
        longs[i] = (struct option){ flags[i]->name, flags[i]->argument ? required_argument : no_argument, NULL,
                                    FLAG_VALUE + i };
        if (flags[i]->letter)
            strcat(letters, (const char[]){ flags[i]->letter, flags[i]->argument ? ':' : '\0', '\0' });
    }

    opterr = 0;
    for (int option; (option = getopt_long(argc, argv, letters, longs, NULL)) != -1;) {
        if (option == '?' || option == ':')
            return complain(program, flags, option, argv);
        int index = option - FLAG_VALUE;
        for (int i = 0; option < FLAG_VALUE && i < count; i++)
            if (flags[i]->letter == option)
                index = i;
        if (index >= own)
            return answer(program, (enum common)(index - own));
        const int status = apply(program, flags[index], config, optarg);
        if (status != OPTIONS_RUN)
            return status;
    }
    *first_operand = optind;
    return OPTIONS_RUN;
}
