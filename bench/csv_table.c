/* SPDX-License-Identifier: Apache-2.0
 * libcsv is fed line by line, so that every row knows its line. Fields lie one after the other in one buffer, each
 * ended by a NUL; row 0 inside is the header. */
#include "bench/csv_table.h"

#include <csv.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "base/error.h"

#define FILE_BYTES_MAX ((size_t)16 << 20)

struct buffer { char *at; size_t used, capacity; };

struct csv_table {
    char         *name;
    struct buffer text, fields, lines;   /* of char, of size_t (offsets into text), of int (one a row) */
    int           line;                  /* being fed */
    int           pending;               /* fields of the row being fed */
    int           columns;
    cvl_status    status;                /* first failure inside a callback */
};

static bool append(struct buffer *buffer, const void *bytes, size_t count)
{
    if (!buffer->at || buffer->used + count > buffer->capacity) {
        const size_t capacity = 2 * buffer->capacity + count + 256;
        char *grown = realloc(buffer->at, capacity);
        if (!grown)
            return false;
        buffer->at = grown;
        buffer->capacity = capacity;
    }
    memcpy(buffer->at + buffer->used, bytes, count);
    buffer->used += count;
    return true;
}

static int row_count(const struct csv_table *table) { return (int)(table->lines.used / sizeof(int)); }

static const char *field_at(const struct csv_table *table, int row, int column)
{
    const size_t *offsets = (const size_t *)table->fields.at;
    return table->text.at + offsets[(size_t)row * (size_t)table->columns + (size_t)column];
}

static void take_field(void *field, size_t length, void *arg)
{
    struct csv_table *table = arg;
    if (table->status != CVL_OK)
        return;
    const size_t offset = table->text.used;
    if (!append(&table->text, field ? field : "", length) || !append(&table->text, "", 1)
        || !append(&table->fields, &offset, sizeof offset))
        table->status = cvl_fail(CVL_ENOMEM, "%s: no memory for its %d lines", table->name, table->line);
    table->pending++;
}

static void take_row(int end, void *arg)
{
    struct csv_table *table = arg;
    if (table->status != CVL_OK)
        return;
    if (!table->columns)
        table->columns = table->pending;
    else if (table->pending != table->columns)
        table->status = cvl_fail(CVL_EINVAL, "%s: line %d has %d field%s, the header has %d", table->name, table->line,
                                 table->pending, table->pending == 1 ? "" : "s", table->columns);
    table->pending = 0;
    if (!append(&table->lines, &table->line, sizeof table->line))
        table->status = cvl_fail(CVL_ENOMEM, "%s: no memory for its %d lines", table->name, table->line);
}

static cvl_status feed(struct csv_table *table, struct csv_parser *parser, const char *bytes, size_t length)
{
    while (length && table->status == CVL_OK) {
        const char *newline = memchr(bytes, '\n', length);
        const size_t part = newline ? (size_t)(newline - bytes) + 1 : length;
        table->line++;
        if (memchr(bytes, '\0', part))
            return cvl_fail(CVL_EINVAL, "%s: line %d holds a NUL byte, expected text", table->name, table->line);
        if (csv_parse(parser, bytes, part, take_field, take_row, table) != part)
            return cvl_fail(CVL_EINVAL, "%s: line %d has a quote where none can be, expected fields like abc or "
                            "\"a,b\"", table->name, table->line);
        bytes += part;
        length -= part;
    }
    if (table->status == CVL_OK && csv_fini(parser, take_field, take_row, table) != 0)
        return cvl_fail(CVL_EINVAL, "%s: line %d: a quoted field does not end", table->name, table->line);
    return table->status;
}

static cvl_status check_header(const struct csv_table *table)
{
    for (int i = 0; i < table->columns; i++)
        for (int j = 0; j < i; j++)
            if (strcmp(field_at(table, 0, i), field_at(table, 0, j)) == 0)
                return cvl_fail(CVL_EINVAL, "%s: line %d, column '%s' is there twice", table->name,
                                ((const int *)table->lines.at)[0], field_at(table, 0, i));
    if (row_count(table) == 1)
        return cvl_fail(CVL_EINVAL, "%s: line %d is a header and no row follows it", table->name, table->line);
    return CVL_OK;
}

cvl_status csv_table_parse(const char *name, const char *bytes, size_t length, struct csv_table **out)
{
    *out = NULL;
    struct csv_table *table = calloc(1, sizeof *table);
    struct csv_parser parser;
    if (!table || csv_init(&parser, CSV_STRICT | CSV_STRICT_FINI) != 0) {
        free(table);
        return cvl_fail(CVL_ENOMEM, "%s: no memory to read it", name);
    }
    cvl_status status = CVL_OK;
    table->name = strdup(name);
    if (!table->name) {
        status = cvl_fail(CVL_ENOMEM, "%s: no memory to read it", name);
        goto done;
    }
    if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0) {
        bytes += 3;
        length -= 3;
    }
    status = feed(table, &parser, bytes, length);
    if (status == CVL_OK && row_count(table) == 0)
        status = cvl_fail(CVL_EINVAL, "%s: line 1: the file is empty, expected a header of column names", name);
    if (status == CVL_OK)
        status = check_header(table);
done:
    csv_free(&parser);
    if (status == CVL_OK)
        *out = table;
    else
        csv_table_free(table);
    return status;
}

/* Not by its size: a pipe has none. */
static cvl_status read_all(const char *path, struct buffer *buffer)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return cvl_fail(CVL_EIO, "%s: cannot be read: %s", path, strerror(errno));
    cvl_status status = CVL_OK;
    char part[16384];
    for (size_t got; status == CVL_OK && (got = fread(part, 1, sizeof part, file)) > 0;) {
        if (buffer->used + got > FILE_BYTES_MAX)
            status = cvl_fail(CVL_EINVAL, "%s: is larger than %zu bytes, too large for a table", path, FILE_BYTES_MAX);
        else if (!append(buffer, part, got))
            status = cvl_fail(CVL_ENOMEM, "%s: no memory to read it", path);
    }
    if (status == CVL_OK && ferror(file))
        status = cvl_fail(CVL_EIO, "%s: cannot be read: %s", path, strerror(errno));
    fclose(file);
    return status;
}

cvl_status csv_table_load(const char *path, struct csv_table **table)
{
    *table = NULL;
    struct buffer bytes = { 0 };
    cvl_status status = read_all(path, &bytes);
    if (status == CVL_OK)
        status = csv_table_parse(path, bytes.at ? bytes.at : "", bytes.used, table);
    free(bytes.at);
    return status;
}

void csv_table_free(struct csv_table *table)
{
    if (!table)
        return;
    free(table->name);
    free(table->text.at);
    free(table->fields.at);
    free(table->lines.at);
    free(table);
}

const char *csv_table_name(const struct csv_table *table) { return table->name; }
int csv_table_rows(const struct csv_table *table) { return row_count(table) - 1; }
int csv_table_columns(const struct csv_table *table) { return table->columns; }
const char *csv_table_header(const struct csv_table *table, int column) { return field_at(table, 0, column); }
int csv_table_line(const struct csv_table *table, int row) { return ((const int *)table->lines.at)[row + 1]; }

const char *csv_table_field(const struct csv_table *table, int row, int column)
{
    return field_at(table, row + 1, column);
}

int csv_table_find(const struct csv_table *table, const char *column)
{
    for (int i = 0; i < table->columns; i++)
        if (strcmp(field_at(table, 0, i), column) == 0)
            return i;
    return -1;
}
