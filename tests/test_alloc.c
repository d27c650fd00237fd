/* SPDX-License-Identifier: Apache-2.0
 * A run allocates nothing, and a workspace is exactly as large as the plan says. The allocators of the C library are
 * replaced, for this program and the libraries it loads, by ones that count. A plan's first run is not counted: vendor
 * libraries and the OpenMP runtime set themselves up in it. Three libraries' own calls are not counted either, which
 * nothing turns off: OpenBLAS's kernels for small matrices (0.3.21, AVX-512) allocate and release a buffer in every
 * call, LLVM's OpenMP runtime (14) when threads take tasks of a loop, and oneDNN when it maps a primitive's
 * arguments. */
#include "base/alloc.h"
#include "conv/problem.h"
#include "conv/registry.h"
#include "guard.h"

#include <errno.h>
#include <execinfo.h>
#include <link.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define REPLACES __attribute__((visibility("default")))

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *memory, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);
void  __libc_free(void *memory);

REPLACES void *malloc(size_t bytes);
REPLACES void *calloc(size_t count, size_t bytes);
REPLACES void *realloc(void *memory, size_t bytes);
REPLACES void *aligned_alloc(size_t alignment, size_t bytes);
REPLACES int   posix_memalign(void **memory, size_t alignment, size_t bytes);
REPLACES void  free(void *memory);

static atomic_bool armed;
static atomic_long calls;

/* Where the code of these is; "" is this program. */
static struct { const char *name; uintptr_t from, to; } codes[] = {
    { "", 0, 0 }, { "openblas", 0, 0 }, { "libomp", 0, 0 }, { "libdnnl", 0, 0 },
};

enum { CODES = sizeof codes / sizeof *codes, FRAMES = 32 };

static int find_codes(struct dl_phdr_info *info, size_t size, void *arg)
{
    for (int c = 0; c < CODES; c++) {
        const bool found = c ? strstr(info->dlpi_name, codes[c].name) != NULL : !*info->dlpi_name;
        for (int i = 0; found && i < info->dlpi_phnum; i++) {
            const ElfW(Phdr) *segment = &info->dlpi_phdr[i];
            const uintptr_t from = info->dlpi_addr + segment->p_vaddr;
            if (segment->p_type != PT_LOAD || !(segment->p_flags & PF_X))
                continue;
            if (codes[c].to == 0)
                codes[c].from = from;
            codes[c].to = from + segment->p_memsz;   /* segments come in rising order */
        }
    }
    return 0;
}

/* Whose call it is: that of the innermost frame which is ours or a vendor's, past libraries like libc between. A thread
 * that has neither runs the OpenMP runtime alone: GNU's replaces its team's threads where loops of oneDNN, a reorder
 * and a convolution, take different numbers of them. (Were it our loops, the thread that begins them would be
 * counted.) */
static bool is_vendors(const void *caller)
{
    void *frames[FRAMES];
    const int count = backtrace(frames, FRAMES);
    int i = 0;
    while (i < count && frames[i] != caller)
        i++;
    for (; i < count; i++)
        for (int c = 0; c < CODES; c++)
            if ((uintptr_t)frames[i] >= codes[c].from && (uintptr_t)frames[i] < codes[c].to)
                return c > 0;
    return count > 0;
}

static void count_call(const void *caller)
{
    if (atomic_load_explicit(&armed, memory_order_relaxed) && !is_vendors(caller))
        atomic_fetch_add(&calls, 1);
}

#define COUNT_CALL() count_call(__builtin_return_address(0))

void *malloc(size_t bytes)
{
    COUNT_CALL();
    return __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
    COUNT_CALL();
    return __libc_calloc(count, bytes);
}

void *realloc(void *memory, size_t bytes)
{
    COUNT_CALL();
    return __libc_realloc(memory, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
    COUNT_CALL();
    return __libc_memalign(alignment, bytes);
}

int posix_memalign(void **memory, size_t alignment, size_t bytes)
{
    COUNT_CALL();
    *memory = __libc_memalign(alignment, bytes);
    return *memory ? 0 : ENOMEM;
}

void free(void *memory)
{
    COUNT_CALL();
    __libc_free(memory);
}

static const char *const problems[] = {
    "fwd:f32:nchw:n2c16h12w13k24r3s3:pad1:bias:residual:relu:const",
    "fwd:f32:nhwc:n2c16h12w13k24r3s3:stride2:pad1:bias:gelu",
    "fwd:f32:nchw:n2c64h7w7k128r1s1:bias:const",
    "fwd:f32:nhwc:n1c32h14w14k32r3s3:pad1:g32:relu6",
    "fwd:f32:nhwc-nchw-rsck:n1c12h9w9k6r3s2:dil2:g3",
    "bwd_data:f32:nchw:n2c16h12w13k24r3s3:stride2:pad1:bias",
    "bwd_data:f32:nhwc:n2c16h12w13k24r3s3:pad1:residual",
    "bwd_data:f32:nhwc:n1c128h9w9k64r1s1",
    "bwd_filter:f32:nchw:n3c16h12w13k24r3s3:pad1",
    "bwd_filter:f32:nhwc:n3c16h12w13k24r3s3:stride2:pad1:residual",
    "bwd_filter:f32:nchw:n2c32h14w14k32r3s3:pad1:g32",
    "fwd:u8-s8-u8:nhwc:n1c16h6w7k8r3s3:pad1:bias:relu:xzero:yzero:perchannel:const",
    "fwd:u8-s8-s32:nchw:n1c16h6w7k8r3s3:pad1:xzero",
    "fwd:bf16:nchw:n1c16h6w7k8r3s3:pad1:bias",
    "bwd_data:f16-f16-f16:nhwc:n1c16h6w7k8r3s3:pad1",
};

/* Calls of the allocators during the second and third run. */
static long calls_of_run(const cvl_plan *plan, const cvl_conv_args *args, void *workspace)
{
    assert_int_equal(cvl_plan_run(plan, args, workspace), CVL_OK);
    atomic_store(&calls, 0);
    for (int i = 0; i < 2; i++) {
        atomic_store(&armed, true);
        const cvl_status status = cvl_plan_run(plan, args, workspace);
        atomic_store(&armed, false);
        assert_int_equal(status, CVL_OK);
    }
    return atomic_load(&calls);
}

static void check_candidate(cvl_ctx *ctx, const struct cvl_problem *problem, const char *candidate)
{
    cvl_plan *plan;
    cvl_conv_args args = problem->args;
    assert_int_equal(cvl_plan_create(ctx, &problem->desc, candidate, &plan), CVL_OK);
    void *workspace = guard_alloc(GUARD_END, cvl_plan_workspace_size(plan), CVL_ALIGN);
    void *packed = guard_alloc(GUARD_END, cvl_plan_packed_size(plan), CVL_ALIGN);
    if (cvl_plan_packed_size(plan) > 0) {
        assert_int_equal(cvl_plan_pack(plan, &args, packed), CVL_OK);
        args.packed = packed;
    }
    const long count = calls_of_run(plan, &args, workspace);
    if (count != 0)
        fail_msg("%s with %d threads called an allocator %ld times in two runs", candidate, cvl_ctx_threads(ctx),
                 count);
    assert_true(guard_intact(workspace));
    guard_free(workspace);
    guard_free(packed);
    cvl_plan_destroy(plan);
}

static void check_problem(cvl_ctx *ctx, const char *text)
{
    char candidates[CVL_VARIANTS_MAX][CVL_CANDIDATE_MAX];
    cvl_conv_desc desc;
    struct cvl_problem problem;
    int checked = 0;
    assert_int_equal(cvl_conv_parse(text, &desc), CVL_OK);
    assert_int_equal(cvl_problem_create(&desc, 1, NULL, &problem), CVL_OK);
    for (int algo = 0; cvl_algo_name(algo); algo++) {
        const int count = cvl_algo_candidates(ctx, cvl_algo_name(algo), &desc, candidates, CVL_VARIANTS_MAX);
        for (int i = 0; i < count; i++, checked++)
            check_candidate(ctx, &problem, candidates[i]);
    }
    assert_true(checked > 0);
    cvl_problem_destroy(&problem);
}

static void run_allocates_nothing(void **state)
{
    for (int threads = 1; threads <= 3; threads++) {
        cvl_ctx_options options;
        cvl_ctx *ctx;
        cvl_ctx_options_init(&options);
        options.threads = threads;
        assert_int_equal(cvl_ctx_create(&options, &ctx), CVL_OK);
        for (size_t i = 0; i < sizeof problems / sizeof *problems; i++)
            check_problem(ctx, problems[i]);
        cvl_ctx_destroy(ctx);
    }
}

/* The counting itself: a call is seen, from this program and from a library. */
static void counter_counts(void **state)
{
    void *(*volatile allocate)(size_t) = malloc;   /* else a compiler may drop what is not used */
    char *(*volatile duplicate)(const char *) = strdup;
    atomic_store(&calls, 0);
    atomic_store(&armed, true);
    void *memory = allocate(1);
    char *copy = duplicate("text");
    atomic_store(&armed, false);
    assert_int_equal(atomic_load(&calls), 2);
    free(memory);
    free(copy);
}

/* What im2col's head comment promises: c*r*s * rows*q floats, and nothing where the image is the matrix. */
static void workspace_is_documented(void **state)
{
    static const struct { const char *problem, *candidate; size_t bytes; } rows[] = {
        { "fwd:f32:nchw:n2c16h12w13k24r3s3:pad1", "im2col", (size_t)16 * 9 * 12 * 13 * 4 },
        { "fwd:f32:nhwc:n2c16h12w13k24r3s3:pad1", "im2col:rows=5", (size_t)16 * 9 * 5 * 13 * 4 },
        { "bwd_data:f32:nchw:n2c16h12w13k24r3s3:pad1", "im2col:rows=1", (size_t)16 * 9 * 13 * 4 },
        { "bwd_filter:f32:nchw:n2c16h12w13k24r3s3:stride2:pad1", "im2col:rows=2", (size_t)16 * 9 * 2 * 7 * 4 },
        { "fwd:f32:nchw:n2c64h7w7k128r1s1", "im2col", 0 },
        { "fwd:f32:nchw:n2c16h12w13k24r3s3:pad1", "direct", 0 },
    };
    cvl_ctx *ctx;
    assert_int_equal(cvl_ctx_create(NULL, &ctx), CVL_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        cvl_conv_desc desc;
        cvl_plan *plan;
        assert_int_equal(cvl_conv_parse(rows[i].problem, &desc), CVL_OK);
        assert_int_equal(cvl_plan_create(ctx, &desc, rows[i].candidate, &plan), CVL_OK);
        assert_int_equal(cvl_plan_workspace_size(plan), rows[i].bytes);
        cvl_plan_destroy(plan);
    }
    cvl_ctx_destroy(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counter_counts),
        cmocka_unit_test(run_allocates_nothing),
        cmocka_unit_test(workspace_is_documented),
    };
    dl_iterate_phdr(find_codes, NULL);
    is_vendors(NULL);   /* backtrace allocates in its first call */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
