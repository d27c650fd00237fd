/* SPDX-License-Identifier: Apache-2.0
 * Cache files: read line by line whatever they hold, written all or not at all. */
#include "tuner/line_set.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/alloc.h"
#include "base/hash.h"
#include "base/text.h"
#include "tuner/disk.h"

#define READ_BYTES  ((size_t)64 << 10)   /* many times CVL_LINE_MAX */
#define WRITE_BYTES ((size_t)64 << 10)

static const char schema_word[] = "convlab-cache ";

struct reader {
    struct cvl_line_set    *set;
    struct cvl_read_report *report;
    const char             *path;
    int                     fd;
    int                     line, first_bad;   /* numbers from 1; 0: none */
    bool                    cut, too_long;
    long long               schema;
    char                    reason[160];       /* of the first bad line */
};

static void note_bad(struct reader *reader, const char *reason)
{
    if (reader->report->bad++ == 0) {
        reader->first_bad = reader->line;
        snprintf(reader->reason, sizeof reader->reason, "%s", reason);
    }
}

/* A schema line stands first, and again inside where files were put together with cat. */
static bool take_schema(struct reader *reader, const char *line, size_t length)
{
    const size_t word = sizeof schema_word - 1;
    long long schema;
    if (length <= word || memcmp(line, schema_word, word) != 0)
        return false;
    const char *space = memchr(line + word, ' ', length - word);
    const size_t digits = (space ? (size_t)(space - line) : length) - word;
    if (!cvl_text_int(line + word, digits, 1, INT32_MAX, &schema))
        return false;
    if (schema > reader->schema)
        reader->schema = schema;
    reader->report->has_schema |= reader->line == 1;
    return true;
}

static cvl_status take_line(struct reader *reader, const char *line, size_t length, bool ended)
{
    reader->line++;
    if (reader->line == 1 && length >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0) {
        line += 3;
        length -= 3;
    }
    if (length > 0 && line[length - 1] == '\r')
        length--;
    if (length == 0 || take_schema(reader, line, length))
        return CVL_OK;
    reader->report->lines++;
    const cvl_status status = cvl_line_set_add(reader->set, line, length, NULL);
    if (status != CVL_ECORRUPT)
        return status;
    reader->cut |= !ended;
    note_bad(reader, cvl_last_error());
    return CVL_OK;
}

/* A line longer than the buffer's half is passed over: its end is looked for, and it counts once. */
struct window { char *bytes; size_t used; bool skipping; };

static cvl_status take_window(struct reader *reader, struct window *window, bool at_end)
{
    char *line = window->bytes, *const end = window->bytes + window->used;
    while (line < end) {
        char *newline = memchr(line, '\n', (size_t)(end - line));
        const size_t length = (size_t)((newline ? newline : end) - line);
        if (window->skipping) {
            window->skipping = !newline;
        } else if (newline || at_end || length > READ_BYTES / 2) {
            const cvl_status status = take_line(reader, line, length, newline != NULL);
            if (status != CVL_OK)
                return status;
            window->skipping = !newline;
        } else {
            break;
        }
        line = newline ? newline + 1 : end;
    }
    window->used = (size_t)(end - line);
    memmove(window->bytes, line, window->used);
    return CVL_OK;
}

static cvl_status read_all(struct reader *reader)
{
    struct window window = { .bytes = cvl_alloc(READ_BYTES) };
    cvl_status status = window.bytes ? CVL_OK : cvl_fail(CVL_ENOMEM, "no memory to read %s", reader->path);
    size_t total = 0;
    while (status == CVL_OK) {
        const ssize_t got = read(reader->fd, window.bytes + window.used, READ_BYTES - window.used);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            status = cvl_fail(CVL_EIO, "cannot read %s: %s", reader->path, strerror(errno));
            break;
        }
        total += (size_t)got;
        reader->too_long = total > CVL_CACHE_FILE_MAX;
        window.used += (size_t)got;
        status = take_window(reader, &window, got == 0);
        if (got == 0 || reader->too_long)
            break;
    }
    cvl_free(window.bytes);
    return status;
}

/* One sentence about all that is wrong with the file. */
static void explain(const struct reader *reader)
{
    const struct cvl_read_report *report = reader->report;
    struct cvl_text why = { reader->report->why, sizeof reader->report->why, 0 };
    if (reader->line == 0) {
        cvl_text_add(&why, "%s is empty, expected the line '" CVL_CACHE_SCHEMA "' first", reader->path);
        return;
    }
    const char *separator = ": ";
    if (report->bad || report->newer_schema || !report->has_schema || reader->too_long)
        cvl_text_add(&why, "%s", reader->path);
    if (!report->has_schema) {
        cvl_text_add(&why, "%sits first line is not '" CVL_CACHE_SCHEMA "'", separator);
        separator = "; ";
    }
    if (report->newer_schema) {
        cvl_text_add(&why, "%sit has schema %lld, newer than schema 1 of this version; %d of its %d lines are used",
                     separator, reader->schema, report->lines - report->bad, report->lines);
        separator = "; ";
    }
    if (reader->too_long) {
        cvl_text_add(&why, "%sit is longer than %zu MiB, and nothing behind them was read", separator,
                     CVL_CACHE_FILE_MAX >> 20);
        separator = "; ";
    }
    if (report->bad == 1)
        cvl_text_add(&why, "%s1 of %d lines is damaged and counts as a miss, line %d: %s", separator, report->lines,
                     reader->first_bad, reader->reason);
    else if (report->bad)
        cvl_text_add(&why, "%s%d of %d lines are damaged and count as misses; the first is line %d: %s", separator,
                     report->bad, report->lines, reader->first_bad, reader->reason);
    if (reader->cut)
        cvl_text_add(&why, "; the file ends within a line");
}

cvl_status cvl_line_set_read(struct cvl_line_set *set, const char *path, struct cvl_read_report *report)
{
    struct reader reader = { .set = set, .report = report, .path = path };
    *report = (struct cvl_read_report){ .lines = 0 };
    reader.fd = open(path, O_RDONLY | O_CLOEXEC);
    if (reader.fd < 0) {
        report->missing = errno == ENOENT;
        return cvl_fail(CVL_EIO, "cannot open %s: %s", path, strerror(errno));
    }
    const cvl_status status = read_all(&reader);
    close(reader.fd);
    report->newer_schema = reader.schema > 1;
    if (status == CVL_OK)
        explain(&reader);
    return status;
}

struct writer { int fd, error; char *bytes; size_t used; };

static bool flush(struct writer *writer)
{
    for (size_t done = 0; done < writer->used && !writer->error;) {
        const ssize_t wrote = write(writer->fd, writer->bytes + done, writer->used - done);
        if (wrote >= 0)
            done += (size_t)wrote;
        else if (errno != EINTR)
            writer->error = errno;
    }
    writer->used = 0;
    return !writer->error;
}

static bool put_line(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    struct writer *writer = arg;
    if (writer->used + length + 1 > WRITE_BYTES && !flush(writer))
        return false;
    memcpy(writer->bytes + writer->used, line, length);
    writer->bytes[writer->used + length] = '\n';
    writer->used += length + 1;
    return true;
}

cvl_status cvl_line_set_write(const struct cvl_line_set *set, const char *path)
{
    struct writer writer = { .fd = -1, .bytes = cvl_alloc(WRITE_BYTES) };
    char *beside = NULL, *place = cvl_disk_resolve(path);
    cvl_status status = CVL_ENOMEM;
    if (!place || !writer.bytes || asprintf(&beside, "%s.%016" PRIx64 ".tmp", place, cvl_disk_random()) < 0) {
        beside = NULL;
        cvl_fail(status, "no memory to write %s", path);
        goto done;
    }
    writer.fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (writer.fd < 0) {
        status = cvl_fail(CVL_EIO, "cannot write %s: %s", path, strerror(errno));
        goto done;
    }
    put_line(&writer, CVL_LINE_OTHER, CVL_CACHE_SCHEMA, sizeof CVL_CACHE_SCHEMA - 1);
    status = cvl_line_set_each(set, true, put_line, &writer);
    if (flush(&writer) && fsync(writer.fd) != 0)
        writer.error = errno;
    if (close(writer.fd) != 0 && !writer.error)
        writer.error = errno;
    if (status == CVL_OK && !writer.error && rename(beside, place) != 0)
        writer.error = errno;
    if (writer.error)
        status = cvl_fail(CVL_EIO, "cannot write %s: %s", path, strerror(writer.error));
    if (status != CVL_OK)
        unlink(beside);
    else
        status = cvl_disk_sync_parent(place);
done:
    free(beside);
    free(place);
    cvl_free(writer.bytes);
    return status;
}
