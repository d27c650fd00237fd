/* SPDX-License-Identifier: Apache-2.0
 * Grids as files come: what is accepted in whatever form, and what each bad line is told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>
#include "bench/nets.h"
#include "bench/workload.h"

#define HEADER "name,n,c,h,w,k,r,s,pad_h,pad_w,stride_h,stride_w,dil_h,dil_w,groups,count\n"
#define ROW "a,1,64,56,56,64,3,3,1,1,1,1,1,1,1,3\n"
#define ROW_PROBLEM "fwd:f32:nchw:n1c64h56w56k64r3s3:pad1"

/* length 0: the text's own. */
static cvl_status read_text(const char *text, size_t length, struct layer_list *list)
{
    struct csv_table *table;
    *list = (struct layer_list){ 0 };
    cvl_status status = csv_table_parse("g.csv", text, length ? length : strlen(text), &table);
    if (status == CVL_OK)
        status = grid_read(table, list);
    csv_table_free(table);
    return status;
}

static void assert_problem(const struct layer *layer, const char *expected)
{
    char text[CVL_CONV_TEXT_MAX];
    cvl_conv_print(&layer->desc, text, sizeof text);
    assert_string_equal(text, expected);
}

static void accepts_every_form_of_a_file(void **state)
{
    static const char *const files[] = {
        HEADER ROW,
        "\xef\xbb\xbf" HEADER ROW,
        "name,n,c,h,w,k,r,s,pad_h,pad_w,stride_h,stride_w,dil_h,dil_w,groups,count\r\n"
            "a,1,64,56,56,64,3,3,1,1,1,1,1,1,1,3\r\n",
        HEADER "a,1,64,56,56,64,3,3,1,1,1,1,1,1,1,3",           /* no newline at the end */
        HEADER "\n\n" ROW "\n",
        HEADER "\"a\",\"1\", 64 ,56,56,64,3,3,1,1,1,1,1,1,1,3\n",
        "count,groups,dil_w,dil_h,stride_w,stride_h,pad_w,pad_h,s,r,k,w,h,c,n,name\n"
            "3,1,1,1,1,1,1,1,3,3,64,56,56,64,1,a\n",
    };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct layer_list list;
        if (read_text(files[i], 0, &list) != CVL_OK)
            fail_msg("file %zu: %s", i, cvl_last_error());
        assert_int_equal(list.count, 1);
        assert_string_equal(list.at[0].name, "a");
        assert_int_equal(list.at[0].count, 3);
        assert_problem(&list.at[0], ROW_PROBLEM);
        layer_list_free(&list);
    }
}

static void reads_every_column(void **state)
{
    struct layer_list list;
    assert_int_equal(read_text(HEADER "\"x, \"\"y\"\"\",2,6,40,151,4,5,20,8,9,2,8,3,4,2,7\n", 0, &list), CVL_OK);
    assert_string_equal(list.at[0].name, "x, \"y\"");
    assert_int_equal(list.at[0].count, 7);
    assert_problem(&list.at[0], "fwd:f32:nchw:n2c6h40w151k4r5s20:stride2x8:pad8x9:dil3x4:g2");
    layer_list_free(&list);
}

static void count_and_pass_are_optional(void **state)
{
    struct layer_list list;
    assert_int_equal(read_text("name,n,c,h,w,k,r,s,pad_h,pad_w,stride_h,stride_w,dil_h,dil_w,groups,pass\n"
                               "a,1,64,56,56,64,3,3,1,1,1,1,1,1,1,bwd_data\n"
                               "b,1,64,56,56,64,3,3,1,1,1,1,1,1,1,bwd_filter\n", 0, &list), CVL_OK);
    assert_int_equal(list.count, 2);
    assert_int_equal(list.at[0].count, 1);
    assert_int_equal(list.at[0].desc.pass, CVL_BWD_DATA);
    assert_int_equal(list.at[1].desc.pass, CVL_BWD_FILTER);
    layer_list_free(&list);
}

/* The file's text and what the sentence must name. */
struct bad { const char *text; const char *named[6]; };

static void bad_files_are_told_where_and_why(void **state)
{
    static const struct bad bads[] = {
        { "", { "g.csv", "line 1", "empty", "header" } },
        { "\xef\xbb\xbf", { "g.csv", "empty" } },
        { "\n\n", { "g.csv", "empty" } },
        { HEADER, { "g.csv", "line 1", "no row follows" } },
        { "name,n,c,h,w,k,r,s,pad_h,pad_w,stride_h,stride_w,dil_h,dil_w\na,1,64,56,56,64,3,3,1,1,1,1,1,1\n",
          { "g.csv", "line 1", "column groups is missing", "expected name,n,c" } },
        { "n,c,h,w,k,r,s,pad_h,pad_w,stride_h,stride_w,dil_h,dil_w,groups\n1,64,56,56,64,3,3,1,1,1,1,1,1,1\n",
          { "line 1", "column name is missing" } },
        { "name,n,c,h,w,k,r,s,pad_h,pad_w,stride_h,stride_w,dil_h,dil_w,groups,colour\n"
          "a,1,64,56,56,64,3,3,1,1,1,1,1,1,1,2\n",
          { "line 1", "column 'colour' is unknown", "expected name,n,c" } },
        { "name,n,n,c,h,w,k,r,s,pad_h,pad_w,stride_h,stride_w,dil_h,dil_w,groups\n"
          "a,1,1,64,56,56,64,3,3,1,1,1,1,1,1,1\n",
          { "line 1", "column 'n'", "twice" } },
        { HEADER ROW "b,1,64,56,56,64,3,3,1,1,1,1,1,1,1\n", { "g.csv: line 3", "15 fields", "16" } },
        { HEADER ROW "b,1,64,56,56,64,3,3,1,1,1,1,1,1,1,1,1\n", { "line 3", "17 fields", "16" } },
        { HEADER "b\n", { "line 2", "1 field", "16" } },
        { HEADER "\n" ROW "b,1,64,56,56,64,3,3,1,1,x,1,1,1,1,1\n",
          { "g.csv: line 4", "column stride_h", "'x'", "whole number from 1" } },
        { HEADER "b,1,-64,56,56,64,3,3,1,1,1,1,1,1,1,1\n", { "line 2", "column c", "'-64'", "from 1" } },
        { HEADER "b,1,64,56,56,64,3,3,-1,1,1,1,1,1,1,1\n", { "line 2", "column pad_h", "'-1'", "from 0" } },
        { HEADER "b,0,64,56,56,64,3,3,1,1,1,1,1,1,1,1\n", { "line 2", "column n", "'0'", "from 1" } },
        { HEADER "b,1,64,56,56,64,3,3,1,1,0,1,1,1,1,1\n", { "line 2", "column stride_h", "'0'" } },
        { HEADER "b,1,64,56,56,64,3,3,1,1,1,1,0,1,1,1\n", { "line 2", "column dil_h", "'0'" } },
        { HEADER "b,1,64,56,56,64,3,3,1,1,1,1,1,1,0,1\n", { "line 2", "column groups", "'0'" } },
        { HEADER "b,1,64,56,56,64,3,3,1,1,1,1,1,1,1,0\n", { "line 2", "column count", "'0'" } },
        { HEADER "b,1,64,56.5,56,64,3,3,1,1,1,1,1,1,1,1\n", { "line 2", "column h", "'56.5'" } },
        { HEADER "b,1,64,,56,64,3,3,1,1,1,1,1,1,1,1\n", { "line 2", "column h", "''" } },
        { HEADER "b,1,64,5 6,56,64,3,3,1,1,1,1,1,1,1,1\n", { "line 2", "column h", "'5 6'" } },
        { HEADER "b,1,64,99999999999999999999,56,64,3,3,1,1,1,1,1,1,1,1\n", { "line 2", "column h", "2147483647" } },
        { HEADER ",1,64,56,56,64,3,3,1,1,1,1,1,1,1,1\n", { "line 2", "column name" } },
        { HEADER "\x1b[2J,1,64,56,56,64,3,3,1,1,1,1,1,1,1,1\n", { "line 2", "column name", "control character" } },
        { HEADER "b,1,64,5,56,64,7,3,0,0,1,1,1,1,1,1\n", { "line 2", "column r", "7", "h + 2 pad_h = 5" } },
        { HEADER "b,1,64,56,5,64,3,3,0,1,1,1,1,4,1,1\n", { "line 2", "column s", "span 9", "w + 2 pad_w = 7" } },
        { HEADER "b,1,64,56,56,64,3,3,1,1,1,1,1,1,3,1\n", { "line 2", "column groups", "3", "column c", "64" } },
        { HEADER "b,1,64,56,56,63,3,3,1,1,1,1,1,1,2,1\n", { "line 2", "column groups", "2", "column k", "63" } },
        { HEADER "b,1024,64,256,256,64,3,3,1,1,1,1,1,1,1,1\n",
          { "line 2", "n, c, h, w", "4294967296", "at most 2147483647" } },
        { HEADER "b,1,65536,8,8,65536,1,1,0,0,1,1,1,1,1,1\n", { "line 2", "k, c, r, s", "4294967296" } },
        { HEADER "b,1,1,65536,1024,64,1,1,0,0,1,1,1,1,1,1\n", { "line 2", "n, k, h, w", "4294967296" } },
        { HEADER "b,1,64,56,56,64,3,3,2000000000,1,1,1,1,1,1,1\n", { "line 2" } },
        { HEADER "\"b,1,64,56,56,64,3,3,1,1,1,1,1,1,1,1\n", { "g.csv: line 2", "quoted field does not end" } },
        { HEADER "a\"b,1,64,56,56,64,3,3,1,1,1,1,1,1,1,1\n", { "g.csv: line 2", "quote" } },
        { "name,n,c,h,w,k,r,s,pad_h,pad_w,stride_h,stride_w,dil_h,dil_w,groups,pass\n"
          "a,1,64,56,56,64,3,3,1,1,1,1,1,1,1,sideways\n",
          { "line 2", "column pass", "'sideways'", "fwd, bwd_data or bwd_filter" } },
    };
    for (size_t i = 0; i < sizeof bads / sizeof *bads; i++) {
        struct layer_list list;
        if (read_text(bads[i].text, 0, &list) == CVL_OK)
            fail_msg("accepted: %s", bads[i].text);
        const char *sentence = cvl_last_error();
        for (int j = 0; bads[i].named[j]; j++)
            if (!strstr(sentence, bads[i].named[j]))
                fail_msg("'%s' does not name '%s'", sentence, bads[i].named[j]);
        assert_null(strchr(sentence, '\n'));
        layer_list_free(&list);
    }
}

static void nul_bytes_are_refused(void **state)
{
    static const char text[] = HEADER "a\0,1,64,56,56,64,3,3,1,1,1,1,1,1,1,3\n";
    struct layer_list list;
    assert_int_equal(read_text(text, sizeof text - 1, &list), CVL_EINVAL);
    assert_non_null(strstr(cvl_last_error(), "g.csv: line 2"));
    assert_non_null(strstr(cvl_last_error(), "NUL"));
}

static void unreadable_files_are_told(void **state)
{
    struct csv_table *table;
    assert_int_equal(csv_table_load("/nonexistent/g.csv", &table), CVL_EIO);
    assert_non_null(strstr(cvl_last_error(), "/nonexistent/g.csv"));
    assert_null(table);
    assert_int_equal(csv_table_load("/", &table), CVL_EIO);
    assert_non_null(strstr(cvl_last_error(), "directory"));
    assert_int_equal(csv_table_load("/dev/null", &table), CVL_EINVAL);
    assert_non_null(strstr(cvl_last_error(), "empty"));
    assert_int_equal(csv_table_load("/dev/zero", &table), CVL_EINVAL);
}

/* The layers of every net, different and all, are those that its check was made on. */
static void every_net_is_complete(void **state)
{
    static const struct { const char *name; int different, all; } sizes[] = {
        { "resnet50", 23, 53 }, { "vgg16", 9, 13 }, { "mobilenet_v2", 30, 52 }, { "efficientnet_b0", 46, 81 },
        { "inception_v3", 43, 94 }, { "resnext50", 24, 53 }, { "unet", 19, 19 }, { "unet-upconv", 4, 4 },
        { "convnext_t", 16, 58 }, { "vit", 12, 12 }, { "deeplabv3", 30, 61 }, { "deepbench-training", 90, 94 },
        { "deepbench-server", 103, 107 }, { "deepbench-device", 16, 17 }, { "convnet-benchmarks", 5, 5 },
    };
    int known = 0, embedded = 0;
    for (const struct net *net = nets; net->name; net++, known++) {
        struct layer_list list = { 0 };
        int all = 0;
        if (net_read(net->name, &list) != CVL_OK)
            fail_msg("%s: %s", net->name, cvl_last_error());
        for (int i = 0; i < list.count; i++)
            all += list.at[i].count;
        assert_string_equal(net->name, sizes[known].name);
        assert_int_equal(list.count, sizes[known].different);
        assert_int_equal(all, sizes[known].all);
        layer_list_free(&list);
    }
    while (net_texts[embedded].name)
        embedded++;
    assert_int_equal(known, sizeof sizes / sizeof *sizes);
    assert_int_equal(embedded, known);
    struct layer_list list = { 0 };
    assert_int_equal(net_read("alexnet", &list), CVL_ENOTFOUND);
    assert_non_null(strstr(cvl_last_error(), "'alexnet'"));
    assert_non_null(strstr(cvl_last_error(), "mobilenet_v2"));
}

/* ResNet-50's multiply-adds without its last, fully connected layer of 2048 x 1000. */
static void resnet50_has_its_published_multiply_adds(void **state)
{
    struct layer_list list = { 0 };
    double flops = 0;
    assert_int_equal(net_read("resnet50", &list), CVL_OK);
    for (int i = 0; i < list.count; i++)
        flops += list.at[i].count * cvl_conv_flops(&list.at[i].desc);
    assert_true(flops / 2 == 4089184256.0 - 2048.0 * 1000.0);
    layer_list_free(&list);
}

static struct bench_config with_net(const char *name)
{
    struct bench_config config = bench_defaults;
    config.sources[0].kind = SOURCE_NET;
    config.sources[0].text = name;
    config.source_count = 1;
    return config;
}

static void flags_change_every_layer(void **state)
{
    struct bench_config config = with_net("vgg16");
    struct layer_list list = { 0 };
    config.pass = PASS_ALL;
    config.layout = LAYOUT_ALL;
    config.batch = 2;
    config.shrink = 8;
    assert_int_equal(workload_read(&config, &list), CVL_OK);
    assert_int_equal(list.count, 9 * 3 * 2);
    assert_problem(&list.at[0], "fwd:f32:nchw:n2c3h8w8k64r3s3:pad1:const");
    assert_problem(&list.at[1], "fwd:f32:nhwc:n2c3h8w8k64r3s3:pad1:const");
    assert_problem(&list.at[5], "bwd_filter:f32:nhwc:n2c3h8w8k64r3s3:pad1");
    char label[LABEL_MAX];
    workload_label(&list, &list.at[5], label);
    assert_string_equal(label, "conv1_1 bwd_filter nhwc");
    layer_list_free(&list);
}

static void a_problem_text_means_what_it_says(void **state)
{
    struct bench_config config = bench_defaults;
    struct layer_list list = { 0 };
    config.sources[0].kind = SOURCE_CONV;
    config.sources[0].text = "bwd_data:f32:nhwc-nchw-rsck:n1c4h9w8k6r3s3:pad1x0x2x1:bias:relu";
    config.source_count = 1;
    assert_int_equal(workload_read(&config, &list), CVL_OK);
    assert_problem(&list.at[0], config.sources[0].text);
    layer_list_free(&list);
}

/* Together the shards are the whole, no two share a layer, and none costs more than the fair share and a layer. */
static void shards_partition_a_grid(void **state)
{
    enum { SHARDS = 4 };
    struct bench_config config = with_net("inception_v3");
    struct layer_list whole = { 0 };
    double total = 0, largest = 0;
    int seen = 0;
    assert_int_equal(workload_read(&config, &whole), CVL_OK);
    for (int i = 0; i < whole.count; i++) {
        const double cost = workload_cost(&whole.at[i].desc);
        total += cost;
        largest = cost > largest ? cost : largest;
    }
    int *taken = calloc((size_t)whole.count, sizeof *taken);
    config.shards = SHARDS;
    for (config.shard = 1; config.shard <= SHARDS; config.shard++) {
        struct layer_list part = { 0 };
        double cost = 0;
        assert_int_equal(workload_read(&config, &part), CVL_OK);
        for (int i = 0; i < part.count; i++) {
            cost += workload_cost(&part.at[i].desc);
            for (int j = 0; j < whole.count; j++)
                if (strcmp(part.at[i].origin, whole.at[j].origin) == 0)
                    taken[j]++;
        }
        assert_true(cost <= total / SHARDS + largest);
        seen += part.count;
        layer_list_free(&part);
    }
    assert_int_equal(seen, whole.count);
    for (int i = 0; i < whole.count; i++)
        assert_int_equal(taken[i], 1);
    free(taken);
    layer_list_free(&whole);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepts_every_form_of_a_file),
        cmocka_unit_test(reads_every_column),
        cmocka_unit_test(count_and_pass_are_optional),
        cmocka_unit_test(bad_files_are_told_where_and_why),
        cmocka_unit_test(nul_bytes_are_refused),
        cmocka_unit_test(unreadable_files_are_told),
        cmocka_unit_test(every_net_is_complete),
        cmocka_unit_test(resnet50_has_its_published_multiply_adds),
        cmocka_unit_test(flags_change_every_layer),
        cmocka_unit_test(a_problem_text_means_what_it_says),
        cmocka_unit_test(shards_partition_a_grid),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
