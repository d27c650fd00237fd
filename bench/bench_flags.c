/* SPDX-License-Identifier: Apache-2.0
 * The flags of conv-bench: parsing, --help and conv-bench(1) come from this table. */
#include "bench/bench_flags.h"

#include <string.h>
#include "base/error.h"
#include "base/text.h"

const struct bench_config bench_defaults = {
    .pass = UNSET, .dtype = UNSET, .math = UNSET, .layout = UNSET, .filter = UNSET, .shard = 1, .shards = 1,
    .mode = UNSET, .budget_s = UNSET, .max_workspace = SIZE_MAX,
};

static cvl_status add_source(struct bench_config *config, enum source_kind kind, const char *text)
{
    if (config->source_count == SOURCES_MAX)
        return cvl_fail(CVL_EINVAL, "'%s' is one too many, expected at most %d of --grid, --net and --conv", text,
                        SOURCES_MAX);
    config->sources[config->source_count].kind = kind;
    config->sources[config->source_count++].text = text;
    return CVL_OK;
}

static cvl_status take_grid(void *config, const char *value) { return add_source(config, SOURCE_GRID, value); }
static cvl_status take_net(void *config, const char *value) { return add_source(config, SOURCE_NET, value); }
static cvl_status take_conv(void *config, const char *value) { return add_source(config, SOURCE_CONV, value); }

/* The text's end of a problem, parsed as the end of one; it may change nothing but the epilogue. */
static cvl_status take_epilogue(void *arg, const char *value)
{
    static const char plain[] = "fwd:f32:nchw:n1c1h1w1k1r1s1";
    struct bench_config *config = arg;
    char text[512];
    cvl_conv_desc desc, none;
    const int length = snprintf(text, sizeof text, "%s:%s", plain, value);
    cvl_status status = length < (int)sizeof text ? cvl_conv_parse(text, &desc) : CVL_EINVAL;
    if (status == CVL_OK)
        status = cvl_conv_parse(plain, &none);
    if (status == CVL_OK) {
        char stripped[CVL_CONV_TEXT_MAX];
        config->epilogue = desc.epi;
        config->has_epilogue = true;
        desc.epi = none.epi;
        cvl_conv_print(&desc, stripped, sizeof stripped);
        if (strcmp(stripped, plain) != 0)
            status = CVL_EINVAL;
    }
    return status == CVL_OK ? CVL_OK : cvl_fail(CVL_EINVAL, "'%s' is not an epilogue, expected [bias][:residual]"
        "[:relu|relu6|clip=LO/HI|silu|hardswish|gelu]", value);
}

static cvl_status add_algorithm(struct bench_config *config, const char *name, size_t length)
{
    char known[256];
    struct cvl_text names = { known, sizeof known, 0 };
    const bool denied = length > 0 && *name == '!';
    char *list = denied ? config->deny : config->allow;
    name += denied;
    length -= denied;
    for (int i = 0; cvl_algo_name(i); i++) {
        cvl_text_add(&names, "%s%s", i ? ", " : "", cvl_algo_name(i));
        if (strlen(cvl_algo_name(i)) == length && memcmp(cvl_algo_name(i), name, length) == 0) {
            struct cvl_text text = { list, sizeof config->allow, strlen(list) };
            cvl_text_add(&text, "%s%s", *list ? "," : "", cvl_algo_name(i));
            return text.used < text.size ? CVL_OK : cvl_fail(CVL_EINVAL, "names too many algorithms");
        }
    }
    return cvl_fail(CVL_EINVAL, "'%.*s' is not an algorithm of this build: %s", (int)length, name, known);
}

static cvl_status take_algo(void *arg, const char *value)
{
    struct bench_config *config = arg;
    cvl_status status = CVL_OK;
    for (const char *word = value; status == CVL_OK; word++) {
        const size_t length = strcspn(word, ",");
        if (length == 4 && memcmp(word, "auto", 4) == 0)
            config->algo_auto = true;
        else if (length != 3 || memcmp(word, "all", 3) != 0)
            status = add_algorithm(config, word, length);
        word += length;
        if (!*word)
            break;
    }
    return status;
}

static cvl_status take_device(void *arg, const char *value)
{
    struct bench_config *config = arg;
    const bool cuda = strncmp(value, "cuda", 4) == 0;
    long long index = 0;
    if (strcmp(value, "cpu") != 0 && strcmp(value, "cuda") != 0
        && !(cuda && value[4] == ':' && cvl_text_int(value + 5, strlen(value + 5), 0, 1023, &index)))
        return cvl_fail(CVL_EINVAL, "'%s' is not cpu, cuda or cuda:N", value);
    config->device = cuda ? CVL_CUDA : CVL_CPU;
    config->device_index = (int)index;
    return CVL_OK;
}

static cvl_status take_shard(void *arg, const char *value)
{
    struct bench_config *config = arg;
    const size_t first = strcspn(value, "/");
    long long shard, shards;
    if (!value[first] || !cvl_text_int(value + first + 1, strlen(value + first + 1), 1, 65536, &shards)
        || !cvl_text_int(value, first, 1, shards, &shard))
        return cvl_fail(CVL_EINVAL, "'%s' is not I/N with I from 1 to N, as in 2/4", value);
    config->shard = (int)shard;
    config->shards = (int)shards;
    return CVL_OK;
}

static cvl_status take_max_error(void *arg, const char *value)
{
    struct bench_config *config = arg;
    double bound;
    if (!cvl_text_double(value, strlen(value), &bound) || bound <= 0)
        return cvl_fail(CVL_EINVAL, "'%s' is not a number above 0, such as 1e-4", value);
    config->max_error = bound;
    return CVL_OK;
}

#define AT(member) .offset = offsetof(struct bench_config, member)

static const struct flag flags[] = {
    { "grid", "FILE.csv", NULL,
      "Measure the layers of a CSV file with the columns "
      "name,n,c,h,w,k,r,s,pad_h,pad_w,stride_h,stride_w,dil_h,dil_w,groups and optionally count and pass.",
      FLAG_CALL, .call = take_grid, .repeats = true },
    { "net", "NAME", "resnet50, when neither --grid nor --conv is given",
      "Measure the layers of a network that --list-nets lists.",
      FLAG_CALL, .call = take_net, .repeats = true },
    { "conv", "TEXT", NULL,
      "Measure one problem, such as fwd:f32:nchw:n1c64h56w56k64r3s3:pad1:bias:relu.",
      FLAG_CALL, .call = take_conv, .repeats = true },
    { "pass", "fwd|bwd_data|bwd_filter|all", "what the grid says, else fwd",
      "What is computed: y, dx or dw.",
      FLAG_WORD, AT(pass) },
    { "batch", "N", "what the grid says",
      "Images in a batch.",
      FLAG_COUNT, AT(batch), .low = 1, .high = 1 << 20 },
    { "dtype", "f32|bf16|f16|int8", "f32",
      "Element types; int8 is u8 images and s8 filters with s32 sums.",
      FLAG_WORD, AT(dtype) },
    { "math", "f32|tf32|bf16|f16", "f32",
      "Lowest arithmetic allowed.",
      FLAG_WORD, AT(math) },
    { "layout", "nchw|nhwc|nchw16c|all", "nchw",
      "Layout of the images; the filter's is kcrs with nchw and krsc with nhwc. onednn and reference alone take nchw16c.",
      FLAG_WORD, AT(layout) },
    { "epilogue", "TEXT", "none",
      "What is done with the sums before they are stored, such as bias:relu.",
      FLAG_CALL, .call = take_epilogue },
    { "algo", "all|auto|NAME,...|!NAME", "all but reference",
      "Which algorithms compete; auto runs only what the selector would choose, !NAME leaves one out.",
      FLAG_CALL, .call = take_algo, .repeats = true },
    { "device", "cpu|cuda[:N]", "cpu",
      "Where to run.",
      FLAG_CALL, .call = take_device },
    { "threads", "N", "every processor this process may use",
      "Threads.",
      FLAG_COUNT, AT(threads), .low = 1, .high = 4096 },
    { "filter", "packed|raw", "packed",
      "May the filter be packed once, as in inference, or is it new in every run?",
      FLAG_WORD, AT(filter) },
    { "mode", "estimate|cached|tune|exhaustive|frozen", "CVL_MODE if set, else tune",
      "estimate never measures; cached answers from the cache, else by estimate; tune answers from the cache, else "
      "measures; exhaustive measures everything to the end; frozen answers from the cache or not at all.",
      FLAG_WORD, AT(mode) },
    { "retune", NULL, NULL,
      "Measure again what the cache holds and keep old and new samples pooled, with intervals that cover what differed "
      "between the runs; implies --mode tune.",
      FLAG_SET, AT(retune) },
    { "budget", "SECONDS", "60, and none in mode exhaustive",
      "How long all measuring together may take; less than is needed goes to where most is to be gained.",
      FLAG_NUMBER, AT(budget_s), .low = 0, .high = 1e9 },
    { "state", "hot|cold-filter|cold", "hot",
      "What the processor's caches hold when the clock starts: everything, all but the filter, nothing.",
      FLAG_WORD, AT(state) },
    { "shard", "I/N", "1/1",
      "Take the I-th of N parts of the layers, of about equal cost.",
      FLAG_CALL, .call = take_shard },
    { "shrink", "N", "no",
      "Cut images down to N x N, or to what the filter needs: for --verify on large grids.",
      FLAG_COUNT, AT(shrink), .low = 1, .high = 1 << 20 },
    { "max-workspace", "BYTES", "any",
      "Choose only candidates that need no more; K, M and G stand for units of 1024.",
      FLAG_BYTES, AT(max_workspace) },
    { "max-error", "EPS", "5e-5 for f32",
      "Choose only candidates whose measured rel_error is no larger.",
      FLAG_CALL, .call = take_max_error },
    { "deterministic", NULL, NULL,
      "Choose only candidates that give the same bits every time.",
      FLAG_SET, AT(deterministic) },
    { "cache", "PATH", "CVL_CACHE if set, else $XDG_CACHE_HOME/convlab, else ~/.cache/convlab",
      "A directory, or one exported file, which is only read; several, uppermost first, are separated by colons, an "
      "empty one of them standing for the user's, the project's (./.convlab) and the shipped one; an empty path keeps "
      "nothing.",
      FLAG_TEXT, AT(cache) },
    { "csv", "FILE|-", NULL,
      "Write one row per layer and candidate; - is stdout, and the table goes to stderr.",
      FLAG_TEXT, AT(csv) },
    { "compare", "OLD.csv", NULL,
      "Compare the chosen times with those of an earlier --csv.",
      FLAG_TEXT, AT(compare) },
    { "verify", NULL, NULL,
      "Instead of timing, run every candidate once and check all of its outputs against the oracle.",
      FLAG_SET, AT(verify) },
    { "audit", NULL, NULL,
      "Race the stored candidates of every layer again, to the end, and tell what the stored choices lose; stores nothing.",
      FLAG_SET, AT(audit) },
    { "why", NULL, NULL,
      "Show every candidate of each layer, and why it was not chosen.",
      FLAG_SET, AT(why) },
    { "profile", NULL, NULL,
      "Show where the time of each chosen candidate goes.",
      FLAG_SET, AT(profile) },
    { "quiet", NULL, NULL,
      "Print no table and no progress.",
      FLAG_SET, AT(quiet) },
    { "list-algos", NULL, NULL,
      "List the algorithms of this build.",
      FLAG_SET, AT(list_algos) },
    { "list-nets", NULL, NULL,
      "List the networks that --net knows.",
      FLAG_SET, AT(list_nets) },
    { "machine", NULL, NULL,
      "Show the processor, its peaks and its memory's speed, measured at 1 and at all threads, and keep them in the "
      "cache for the estimates.",
      FLAG_SET, AT(machine) },
    { .name = NULL },
};

static const struct note environment[] = {
    { "CVL_CACHE", "Where the cache is, unless --cache says it." },
    { "XDG_CACHE_HOME", "The folder of the default cache, convlab." },
    { "CVL_MODE", "The mode, unless --mode says it." },
    { "CVL_ISA", "The highest instruction-set level to use, such as avx2." },
    { "CVL_MAX_WORKSPACE, CVL_MAX_ERROR, CVL_DETERMINISTIC, CVL_DENY", "The limits, unless flags say them." },
    { "CVL_CUDNN", "Where cuDNN is, a file or the folder of libcudnn.so.9; else where the loader looks." },
    { "CVL_VERBOSE", "Print also what the library merely notes." },
    { NULL, NULL },
};

static const struct note exits[] = {
    { "0", "Everything was right." },
    { "1", "Something measured was wrong or failed or could not be stored, or a layer had no answer." },
    { "2", "Bad usage or bad input; nothing was measured or written." },
    { "130", "Interrupted (143: terminated); what was measured is kept." },
    { NULL, NULL },
};

static const struct note examples[] = {
    { "conv-bench", "Measure ResNet-50 layer by layer and leave a cache." },
    { "conv-bench --net vgg16 --pass all --csv vgg16.csv", "Write what every candidate of all three passes takes." },
    { "conv-bench --csv new.csv --compare old.csv --mode exhaustive", "What became faster or slower since old.csv?" },
    { "conv-bench --grid mine.csv --max-workspace 1M --why", "Who wins within a mebibyte, and why?" },
    { "conv-bench --net unet --verify --pass all --layout all --shrink 16",
      "Check all candidates against the oracle." },
    { NULL, NULL },
};

const struct program conv_bench_program = {
    .name = "conv-bench",
    .summary = "measure rival convolution algorithms layer by layer",
    .description =
        "Measures every candidate algorithm for each layer of a network, prints which one wins, by how much, at what "
        "memory and at what error, and keeps the measurements in a cache that libcvl answers from.\n"
        "Flags about problems (--pass, --batch, --dtype, --math, --layout, --epilogue, --filter, --shrink) change "
        "every layer, wherever it came from; without them a grid's layers are forward, f32, nchw, with a packed "
        "filter, and --conv means exactly what its text says.",
    .flags = flags, .environment = environment, .exits = exits, .examples = examples,
};
