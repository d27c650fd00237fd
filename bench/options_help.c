/* SPDX-License-Identifier: Apache-2.0
 * What a program's table says, for a terminal (--help) and for man(1). */
#include "bench/options.h"

#include <string.h>

#define HELP_WIDTH 100
#define HELP_INDENT 6

/* Words of text, broken before `width`, continued at `indent`; starts at column `at`. A newline begins a new line. */
static void wrap(FILE *to, const char *text, int at, int indent)
{
    for (bool first = true; *text; first = false) {
        if (*text == '\n') {
            fprintf(to, "\n%*s", indent, "");
            at = indent;
            text++;
            first = true;
        }
        const int length = (int)strcspn(text, " \n");
        if (!first && at + 1 + length > HELP_WIDTH) {
            fprintf(to, "\n%*s", indent, "");
            at = indent;
            first = true;
        }
        at += fprintf(to, "%s%.*s", first ? "" : " ", length, text);
        text += length;
        text += *text == ' ';
    }
    fputc('\n', to);
}

static void usage_line(const struct program *program, FILE *to)
{
    int at = fprintf(to, "usage: %s", program->name);
    const int indent = at;
    const struct flag *const tables[] = { program->flags, options_common };
    for (int t = 0; t < 2; t++) {
        for (const struct flag *flag = tables[t]; flag->name; flag++) {
            char text[128];
            const int length = snprintf(text, sizeof text, " [--%s%s%s]%s", flag->name, flag->argument ? " " : "",
                                        flag->argument ? flag->argument : "", flag->repeats ? "..." : "");
            if (at + length > HELP_WIDTH)
                at = fprintf(to, "\n%*s", indent, "") - 1;
            at += fprintf(to, "%s", text);
        }
    }
    fputc('\n', to);
}

static void help_flag(const struct flag *flag, FILE *to)
{
    fprintf(to, "  --%s", flag->name);
    if (flag->letter)
        fprintf(to, ", -%c", flag->letter);
    fprintf(to, "%s%s%s\n%*s", flag->argument ? " " : "", flag->argument ? flag->argument : "",
            flag->repeats ? " ..." : "", HELP_INDENT, "");
    char text[1024];
    snprintf(text, sizeof text, "%s%s%s%s", flag->help, flag->initial ? " Default: " : "",
             flag->initial ? flag->initial : "", flag->initial ? "." : "");
    wrap(to, text, HELP_INDENT, HELP_INDENT);
}

static void help_notes(const char *title, const struct note *notes, FILE *to)
{
    if (!notes)
        return;
    fprintf(to, "\n%s:\n", title);
    for (const struct note *note = notes; note->name; note++) {
        fprintf(to, "  %s\n%*s", note->name, HELP_INDENT, "");
        wrap(to, note->text, HELP_INDENT, HELP_INDENT);
    }
}

void options_help(const struct program *program, FILE *to)
{
    fprintf(to, "%s: %s\n\n", program->name, program->summary);
    if (program->commands)
        for (const struct note *command = program->commands; command->name; command++)
            fprintf(to, "%s %s %s\n", command == program->commands ? "usage:" : "      ", program->name, command->name);
    else
        usage_line(program, to);
    fputc('\n', to);
    wrap(to, program->description, 0, 0);
    help_notes("Commands", program->commands, to);
    fprintf(to, "\nFlags:\n");
    for (const struct flag *flag = program->flags; flag->name; flag++)
        help_flag(flag, to);
    for (const struct flag *flag = options_common; flag->name; flag++)
        help_flag(flag, to);
    help_notes("Environment", program->environment, to);
    help_notes("Exit status", program->exits, to);
    help_notes("Examples", program->examples, to);
}

/* Text as troff reads it: a minus stays a minus, and no line begins with a request. */
static void troff(FILE *to, const char *text)
{
    for (bool start = true; *text; text++) {
        if (start && (*text == '.' || *text == '\''))
            fputs("\\&", to);
        if (*text == '\n')
            fputs("\n.PP", to);
        fputs(*text == '-' ? "\\-" : *text == '\\' ? "\\e" : (const char[]){ *text, '\0' }, to);
        start = *text == '\n';
    }
}

static void man_flag(const struct flag *flag, FILE *to)
{
    fprintf(to, ".TP\n.B \\-\\-");
    troff(to, flag->name);
    if (flag->letter)
        fprintf(to, ", \\-%c", flag->letter);
    if (flag->argument) {
        fputs("\\fR ", to);
        troff(to, flag->argument);
    }
    fputs(flag->repeats ? " ...\n" : "\n", to);
    troff(to, flag->help);
    if (flag->initial) {
        fputs(" Default: ", to);
        troff(to, flag->initial);
        fputc('.', to);
    }
    fputc('\n', to);
}

static void man_notes(const char *title, const struct note *notes, FILE *to)
{
    if (!notes)
        return;
    fprintf(to, ".SH %s\n", title);
    for (const struct note *note = notes; note->name; note++) {
        fputs(".TP\n.B ", to);
        troff(to, note->name);
        fputc('\n', to);
        troff(to, note->text);
        fputc('\n', to);
    }
}

void options_man(const struct program *program, FILE *to)
{
    fprintf(to, ".TH ");
    for (const char *letter = program->name; *letter; letter++)
        fputc(*letter >= 'a' && *letter <= 'z' ? *letter - 'a' + 'A' : *letter, to);
    fprintf(to, " 1 \"\" \"convlab %s\" \"convlab\"\n.SH NAME\n", cvl_version());
    troff(to, program->name);
    fputs(" \\- ", to);
    troff(to, program->summary);
    fputs("\n.SH SYNOPSIS\n", to);
    if (program->commands) {
        for (const struct note *command = program->commands; command->name; command++) {
            fprintf(to, "%s.B ", command == program->commands ? "" : ".br\n");
            troff(to, program->name);
            fputs("\\fR ", to);
            troff(to, command->name);
            fputc('\n', to);
        }
    } else {
        fputs(".B ", to);
        troff(to, program->name);
        fputs("\n[\\fIflags\\fR]\n", to);
    }
    fputs(".SH DESCRIPTION\n", to);
    troff(to, program->description);
    fputc('\n', to);
    man_notes("COMMANDS", program->commands, to);
    fputs(".SH OPTIONS\n", to);
    for (const struct flag *flag = program->flags; flag->name; flag++)
        man_flag(flag, to);
    for (const struct flag *flag = options_common; flag->name; flag++)
        man_flag(flag, to);
    man_notes("ENVIRONMENT", program->environment, to);
    man_notes("EXIT STATUS", program->exits, to);
    man_notes("EXAMPLES", program->examples, to);
}
