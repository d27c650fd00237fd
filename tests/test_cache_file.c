/* SPDX-License-Identifier: Apache-2.0
 * Files of a cache: cut anywhere, with any bit flipped, of other forms and versions, every good line lives and one
 * sentence says what is wrong. */
#include "cache_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define LENGTH(array) ((int)(sizeof(array) / sizeof *(array)))
#define LINES 8

static char folder[PATH_BYTES];

static int make_folder(void **state)
{
    fixture_folder(folder);
    return 0;
}

static int remove_folder(void **state)
{
    fixture_remove(folder);
    return 0;
}

static struct cvl_line_set *set_of(const char *path, struct cvl_read_report *report)
{
    struct cvl_line_set *set = fixture_set();
    assert_int_equal(cvl_line_set_read(set, path, report), CVL_OK);
    return set;
}

/* Eight lines, and the file that they make. */
struct sample { char line[LINES][CVL_LINE_MAX]; size_t length[LINES]; struct bytes file; };

static void make_sample(struct sample *sample)
{
    struct cvl_line_set *set = fixture_set();
    for (int i = 0; i < LINES; i++) {
        const struct cvl_record record = fixture_numbered_record(i);
        sample->length[i] = cvl_record_print(&record, sample->line[i]);
        assert_int_equal(cvl_line_set_add(set, sample->line[i], sample->length[i], NULL), CVL_OK);
    }
    sample->file = fixture_file_of(set, fixture_in(folder, "set.cvl"));
    cvl_line_set_destroy(set);
}

static int count_live(const struct cvl_line_set *set, const struct sample *sample)
{
    int live = 0;
    for (int i = 0; i < LINES; i++)
        live += cvl_line_set_covers(set, sample->line[i], sample->length[i]);
    return live;
}

static void every_truncation_keeps_the_good_lines(void **state)
{
    struct sample sample;
    struct cvl_read_report report;
    const char *path = fixture_in(folder, "cut.cvl");
    const size_t schema = strlen(CVL_CACHE_SCHEMA);
    make_sample(&sample);
    for (size_t length = 0; length <= sample.file.count; length++) {
        size_t begin = 0;
        int whole = 0;
        for (size_t i = 0; i < length; i++)
            if (sample.file.at[i] == '\n') {
                whole += begin > 0;
                begin = i + 1;
            }
        const bool ends_line = sample.file.at[length] == '\n' || length == begin;
        const bool body = begin > 0 && length > begin;
        fixture_write(path, sample.file.at, length);
        struct cvl_line_set *set = set_of(path, &report);
        assert_int_equal(count_live(set, &sample), whole + (body && ends_line));
        assert_int_equal(cvl_line_set_count(set), count_live(set, &sample));
        assert_int_equal(report.bad, length > 0 && length != schema && !ends_line);
        assert_int_equal(report.why[0] != '\0', length < schema || !ends_line);
        if (report.why[0])
            assert_non_null(strstr(report.why, path));
        cvl_line_set_destroy(set);
    }
    free(sample.file.at);
}

static void every_flipped_bit_of_a_file_costs_its_line(void **state)
{
    struct sample sample;
    struct cvl_read_report report;
    const char *path = fixture_in(folder, "flip.cvl");
    make_sample(&sample);
    for (size_t bit = 0; bit < 8 * sample.file.count; bit++) {
        char *byte = &sample.file.at[bit / 8];
        const bool newline = *byte == '\n', last = byte == sample.file.at + sample.file.count - 1;
        *byte ^= (char)(1 << bit % 8);
        fixture_write(path, sample.file.at, sample.file.count);
        struct cvl_line_set *set = set_of(path, &report);
        const bool in_schema = bit / 8 < strlen(CVL_CACHE_SCHEMA);
        const int lost = in_schema ? 0 : newline && !last && bit / 8 != strlen(CVL_CACHE_SCHEMA) ? 2 : 1;
        if (count_live(set, &sample) != LINES - lost || cvl_line_set_count(set) != LINES - lost || !report.why[0])
            fail_msg("bit %zu: %d lines live, %d lost; %s", bit, count_live(set, &sample), lost, report.why);
        cvl_line_set_destroy(set);
        *byte ^= (char)(1 << bit % 8);
    }
    free(sample.file.at);
}

/* The sample's file, changed: before it, at each line's end, and behind it. */
static void other_forms_are_read(void **state)
{
    static const struct { const char *before, *end, *after; int skip_schema; const char *why; } forms[] = {
        { "", "\n", "", 0, NULL },
        { "", "\r\n", "", 0, NULL },
        { "\xef\xbb\xbf", "\n", "", 0, NULL },
        { "\xef\xbb\xbf", "\r\n", "\r\n\r\n", 0, NULL },
        { "", "\n\n", "", 0, NULL },
        { "", "\n", CVL_CACHE_SCHEMA "\n", 0, NULL },
        { "", "\n", "", 1, "its first line is not 'convlab-cache 1'" },
        { "convlab-cache 7\n", "\n", "", 1, "it has schema 7, newer than schema 1 of this version; 8 of its 8 lines" },
        { "convlab-cache 7 later=1\n", "\n", "", 1, "schema 7" },
        { "convlab-cache 0\n", "\n", "", 1, "its first line" },
        { "convlab-cache\n", "\n", "", 1, "its first line" },
        { "", "\n", "half a line", 0, "1 of 9 lines is damaged and counts as a miss, line 10: it does not end with a "
          "checksum, crc= and eight hexadecimal digits; the file ends within a line" },
        { "", "\n", "x\ny\n", 0, "2 of 10 lines are damaged and count as misses; the first is line 10: " },
        { "", "\n", "want 0123456789abcdef hot p crc=12345678\n", 0, "checksum is 12345678, expected " },
    };
    struct sample sample;
    make_sample(&sample);
    for (int f = 0; f < LENGTH(forms); f++) {
        char text[LINES * CVL_LINE_MAX];
        const char *path = fixture_in(folder, "form.cvl");
        struct cvl_read_report report;
        int used = snprintf(text, sizeof text, "%s%s%s", forms[f].before, forms[f].skip_schema ? "" : CVL_CACHE_SCHEMA,
                            forms[f].skip_schema ? "" : forms[f].end);
        for (int i = 0; i < LINES; i++)
            used += snprintf(text + used, sizeof text - (size_t)used, "%s%s", sample.line[i], forms[f].end);
        used += snprintf(text + used, sizeof text - (size_t)used, "%s", forms[f].after);
        fixture_write(path, text, (size_t)used);
        struct cvl_line_set *set = set_of(path, &report);
        if (count_live(set, &sample) != LINES || !forms[f].why != !report.why[0] ||
            (forms[f].why && !strstr(report.why, forms[f].why)))
            fail_msg("form %d: %d lines live; %s", f, count_live(set, &sample), report.why);
        assert_int_equal(report.newer_schema, forms[f].why && strstr(forms[f].why, "schema 7"));
        cvl_line_set_destroy(set);
    }
    free(sample.file.at);
}

static void long_lines_and_nul_bytes_are_damage(void **state)
{
    static const size_t lengths[] = {
        CVL_LINE_MAX - 1, CVL_LINE_MAX, 32767, 32768, 32769, 65535, 65536, 65537, 300000,
    };
    struct sample sample;
    make_sample(&sample);
    for (int fill = 0; fill < 2; fill++)
        for (int i = 0; i < LENGTH(lengths); i++) {
            const char *path = fixture_in(folder, "long.cvl");
            const size_t total = 2 * sample.file.count + lengths[i] + 1;
            struct cvl_read_report report;
            char *text = malloc(total);
            assert_non_null(text);
            memcpy(text, sample.file.at, sample.file.count);
            memset(text + sample.file.count, fill ? 'x' : 0, lengths[i]);
            text[sample.file.count + lengths[i]] = '\n';
            memcpy(text + sample.file.count + lengths[i] + 1, sample.file.at, sample.file.count);
            fixture_write(path, text, total);
            struct cvl_line_set *set = set_of(path, &report);
            assert_int_equal(count_live(set, &sample), LINES);
            assert_int_equal(report.bad, 1);
            assert_int_equal(report.lines, 2 * LINES + 1);
            cvl_line_set_destroy(set);
            free(text);
        }
    free(sample.file.at);
}

static void a_huge_file_is_read_to_its_limit(void **state)
{
    struct sample sample;
    struct cvl_read_report report;
    const char *path = fixture_in(folder, "huge.cvl");
    make_sample(&sample);
    fixture_write(path, sample.file.at, sample.file.count);
    const int made = truncate(path, (off_t)CVL_CACHE_FILE_MAX + 4096);
    if (made != 0)
        print_message("skipped: no sparse file of 1 GiB here: %s\n", strerror(errno));
    if (made == 0) {
        struct cvl_line_set *set = set_of(path, &report);
        assert_int_equal(count_live(set, &sample), LINES);
        assert_int_equal(report.bad, 1);
        assert_non_null(strstr(report.why, "longer than 1024 MiB"));
        cvl_line_set_destroy(set);
    }
    unlink(path);
    free(sample.file.at);
    if (made != 0)
        skip();
}

static void unknown_things_are_kept_through_a_merge(void **state)
{
    static const char *const texts[] = {
        "later 0123456789abcdef anything=1", "later 0123456789abcdef anything=2", "x",
        "rec 0123456789abcdef hot problem direct rev=1 n=3 when=5 outcome=ok ms=1 newer=%20 zz=9",
        "rec 0123456789abcdef lukewarm problem direct rev=1 n=3 when=5 outcome=ok ms=1",
        "rec 0123456789abcdef hot problem later rev=1 n=3 when=5 outcome=puzzling",
        "want 0123456789abcdef hot problem urgency=3", "env 0123456789abcdef cpu=x isa=y threads=1 npu=z",
    };
    struct cvl_line_set *set = fixture_set(), *copy = fixture_set();
    struct cvl_read_report report;
    char line[CVL_LINE_MAX];
    for (int i = 0; i < LENGTH(texts); i++)
        assert_int_equal(cvl_line_set_add(set, line, fixture_seal(texts[i], line), NULL), CVL_OK);
    assert_int_equal(cvl_line_set_count(set), LENGTH(texts));
    free(fixture_file_of(set, fixture_in(folder, "set.cvl")).at);
    assert_int_equal(cvl_line_set_read(copy, fixture_in(folder, "set.cvl"), &report), CVL_OK);
    assert_int_equal(report.bad, 0);
    fixture_same_sets(set, copy, fixture_in(folder, "set.cvl"));

    struct cvl_record record;
    assert_int_equal(cvl_record_parse(line, fixture_seal(texts[3], line), &record), CVL_OK);
    assert_int_equal(record.samples, 3);
    assert_int_equal(cvl_record_parse(line, fixture_seal(texts[4], line), &record), CVL_ECORRUPT);
    assert_non_null(strstr(cvl_last_error(), "lukewarm"));
    assert_int_equal(cvl_record_parse(line, fixture_seal(texts[5], line), &record), CVL_ECORRUPT);
    assert_non_null(strstr(cvl_last_error(), "puzzling"));
    cvl_line_set_destroy(copy);
    cvl_line_set_destroy(set);
}

static void writing_replaces_or_leaves(void **state)
{
    struct sample sample;
    struct cvl_line_set *set = fixture_set();
    const char *there = fixture_in(folder, "there.cvl"), *link = fixture_in(folder, "link.cvl");
    const char *nowhere = fixture_in(folder, "no/such/folder.cvl");
    make_sample(&sample);
    fixture_write(there, sample.file.at, sample.file.count);
    assert_int_equal(symlink("there.cvl", link), 0);
    assert_int_equal(cvl_line_set_write(set, nowhere), CVL_EIO);
    assert_non_null(strstr(cvl_last_error(), nowhere));
    assert_int_equal(cvl_line_set_write(set, link), CVL_OK);
    char target[PATH_BYTES] = "";
    assert_true(readlink(link, target, sizeof target - 1) > 0);
    const struct bytes now = fixture_read(there);
    assert_string_equal(now.at, CVL_CACHE_SCHEMA "\n");
    assert_int_equal(fixture_count(folder, ".tmp"), 0);
    free(now.at);
    free(sample.file.at);
    cvl_line_set_destroy(set);
}

static void an_unreadable_file_is_an_error(void **state)
{
    struct cvl_line_set *set = fixture_set();
    struct cvl_read_report report;
    assert_int_equal(cvl_line_set_read(set, fixture_in(folder, "missing.cvl"), &report), CVL_EIO);
    assert_non_null(strstr(cvl_last_error(), "missing.cvl: No such file"));
    assert_int_equal(cvl_line_set_read(set, folder, &report), CVL_EIO);
    cvl_line_set_destroy(set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_truncation_keeps_the_good_lines),
        cmocka_unit_test(every_flipped_bit_of_a_file_costs_its_line), cmocka_unit_test(other_forms_are_read),
        cmocka_unit_test(long_lines_and_nul_bytes_are_damage), cmocka_unit_test(a_huge_file_is_read_to_its_limit),
        cmocka_unit_test(unknown_things_are_kept_through_a_merge), cmocka_unit_test(writing_replaces_or_leaves),
        cmocka_unit_test(an_unreadable_file_is_an_error),
    };
    return cmocka_run_group_tests(tests, make_folder, remove_folder);
}
