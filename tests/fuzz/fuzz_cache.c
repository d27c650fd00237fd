/* SPDX-License-Identifier: Apache-2.0
 * Any bytes as a cache file: read without harm, and what was accepted is written, read back and written again the
 * same. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "base/hash.h"
#include "tuner/line_set.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static char path[64], back[64];

static void remove_files(void)
{
    unlink(path);
    unlink(back);
}

static void put(const char *to, const uint8_t *bytes, size_t count)
{
    FILE *file = fopen(to, "wb");
    if (!file || fwrite(bytes, 1, count, file) != count || fclose(file) != 0)
        abort();
}

static size_t get(const char *from, char *bytes, size_t size)
{
    FILE *file = fopen(from, "rb");
    const size_t count = file ? fread(bytes, 1, size, file) : 0;
    if (file)
        fclose(file);
    return count;
}

/* Whatever was accepted can be taken apart, or is of a kind or word that this version passes over. */
static bool parse(void *arg, enum cvl_line_kind kind, const char *line, size_t length)
{
    struct cvl_record record;
    struct cvl_environment environment;
    struct cvl_rates rates = { .f32_flops = 1, .s8_ops = 1, .copy_l2 = 1, .copy_l3 = 1, .copy_dram = 1 };
    char problem[CVL_CONV_TEXT_MAX], printed[CVL_LINE_MAX];
    uint64_t id;
    cvl_state state;
    if (kind == CVL_LINE_REC && cvl_record_parse(line, length, &record) == CVL_OK)
        cvl_record_print(&record, printed);
    if (kind == CVL_LINE_ENV && cvl_environment_parse(line, length, &environment, &id) == CVL_OK)
        cvl_environment_print(&environment, printed);
    if (kind == CVL_LINE_WANT)
        cvl_want_parse(line, length, &id, &state, problem);
    if (kind == CVL_LINE_RATES)
        cvl_rates_parse(line, length, &rates, &id);
    return true;
}

/* A mutated line would never get past its checksum: bytes are also taken as lines that are sealed here. */
static void add_sealed(struct cvl_line_set *set, const uint8_t *bytes, size_t count)
{
    char line[CVL_LINE_MAX + 32], sealed[CVL_LINE_MAX + 64];
    for (size_t at = 0; at < count;) {
        const uint8_t *end = memchr(bytes + at, '\n', count - at);
        const size_t length = end ? (size_t)(end - bytes) - at : count - at;
        const size_t kept = length < CVL_LINE_MAX ? length : CVL_LINE_MAX;
        memcpy(line, bytes + at, kept);
        at += length + 1;
        if (kept >= 8 && memcmp(line, "convlab-", 8) == 0)   /* a schema line is no record, whatever it ends with */
            continue;
        const int total = snprintf(sealed, sizeof sealed, "%.*s crc=%08x", (int)kept, line,
                                   cvl_crc32(line, strnlen(line, kept)));
        cvl_line_set_add(set, sealed, (size_t)total, NULL);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static char first[1 << 20], second[1 << 20];
    struct cvl_line_set *set, *again;
    struct cvl_read_report report;
    if (!path[0]) {
        const char *folder = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";   /* where a sync costs nothing */
        snprintf(path, sizeof path, "%s/fuzz_cache.%ld", folder, (long)getpid());
        snprintf(back, sizeof back, "%s/fuzz_cache.%ld.back", folder, (long)getpid());
        atexit(remove_files);
    }
    put(path, bytes, count);
    if (cvl_line_set_create(&set) != CVL_OK || cvl_line_set_create(&again) != CVL_OK)
        abort();
    if (cvl_line_set_read(set, path, &report) != CVL_OK || report.bad > report.lines)
        abort();
    add_sealed(set, bytes, count);
    cvl_line_set_each(set, true, parse, NULL);
    if (cvl_line_set_write(set, back) != CVL_OK)
        abort();
    const size_t written = get(back, first, sizeof first);
    if (cvl_line_set_read(again, back, &report) != CVL_OK || report.bad ||
        cvl_line_set_count(again) != cvl_line_set_count(set) ||
        cvl_line_set_write(again, back) != CVL_OK || get(back, second, sizeof second) != written ||
        memcmp(first, second, written) != 0)
        abort();
    cvl_line_set_destroy(again);
    cvl_line_set_destroy(set);
    return 0;
}
