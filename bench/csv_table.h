/* SPDX-License-Identifier: Apache-2.0
 * A CSV file in memory, read with libcsv: a header line of column names, then rows of as many fields. CRLF, a UTF-8
 * byte-order mark and empty lines are accepted; what is wrong is told with file and line. */
#ifndef BENCH_CSV_TABLE_H
#define BENCH_CSV_TABLE_H

#include "cvl/base.h"

struct csv_table;

/* `name` is what messages call the file. CVL_EINVAL: not such a table; CVL_EIO: unreadable; CVL_ENOMEM. */
cvl_status csv_table_parse(const char *name, const char *bytes, size_t length, struct csv_table **table);
cvl_status csv_table_load(const char *path, struct csv_table **table);
void       csv_table_free(struct csv_table *table);

const char *csv_table_name(const struct csv_table *table);
int         csv_table_rows(const struct csv_table *table);
int         csv_table_columns(const struct csv_table *table);
const char *csv_table_header(const struct csv_table *table, int column);
int         csv_table_find(const struct csv_table *table, const char *column);     /* -1: no such column */
const char *csv_table_field(const struct csv_table *table, int row, int column);   /* row 0 follows the header */
int         csv_table_line(const struct csv_table *table, int row);                /* from 1, as editors count */

#endif
