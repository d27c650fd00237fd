/* SPDX-License-Identifier: Apache-2.0
 * Where neighbours of an index list are neighbours in memory, they are brought and stored as vectors. */
#include "conv/cuda/cuda_igemm_lists.h"

#include "base/dtype.h"

#include <stdlib.h>

/* Do the digits above c, and where the list begins, keep to multiples of `each` elements? */
static bool is_even_above(const struct cvl_list *list, int each)
{
    const bool one_a = list->count <= (int)(list->b.divisor * list->c.divisor), one_b = list->b.divisor == 1;
    return list->at % each == 0 && (one_a || list->at_a % each == 0) && (one_b || list->at_b % each == 0);
}

/* Runs of `each` neighbours, or of a multiple, at one point of the image. */
static bool is_run(const struct cvl_list *list, int each)
{
    return list->at_c == 1 && list->x_c == 0 && list->c.divisor % (unsigned)each == 0 && is_even_above(list, each);
}

static bool is_apart(const struct cvl_list *list, int each)
{
    return is_even_above(list, each) && (list->c.divisor == 1 || list->at_c % each == 0);
}

static enum cvl_bring bring_of(const struct cvl_gemm_operand *operand, const struct cvl_list *rows,
                               const struct cvl_list *columns, int size)
{
    const int each = CVL_CHUNK_BYTES / size;
    const bool aligned = operand->group % each == 0 && (uintptr_t)operand->data % CVL_CHUNK_BYTES == 0;
    const int64_t taps = (int64_t)columns->a * columns->b.divisor;
    if (aligned && is_run(columns, each) && is_apart(rows, each) && (taps <= 32 || !operand->image))
        return CVL_BRING_ALONG_K;
    if (aligned && size == 2 && is_run(rows, each) && is_apart(columns, each))
        return CVL_BRING_ALONG_ROWS;
    const int row_step = rows->c.divisor > 1 ? rows->at_c : rows->at_b;
    const int column_step = columns->c.divisor > 1 ? columns->at_c : columns->at_b;
    return abs(column_step) <= abs(row_step) ? CVL_BRING_ONE_ALONG_K : CVL_BRING_ONE_ALONG_ROWS;
}

/* Parts that would be brought in different ways are brought by elements. */
static void agree(enum cvl_bring *all, enum cvl_bring one, bool first)
{
    if (first)
        *all = one;
    else if (*all != one)
        *all = *all > CVL_BRING_ALONG_ROWS ? *all : one > CVL_BRING_ALONG_ROWS ? one : CVL_BRING_ONE_ALONG_K;
}

static void choose_bringing(struct cvl_gemm *g, int size)
{
    for (int i = 0; i < g->parts; i++) {
        const struct cvl_gemm_part *part = &g->part[i];
        agree(&g->a.bring, bring_of(&g->a, &part->a_rows, &part->a_columns, size), i == 0);
        agree(&g->b.bring, bring_of(&g->b, &g->b_rows, &part->b_columns, size), i == 0);
    }
}

static bool stores_wide(const struct cvl_gemm *g, int each)
{
    bool apart = g->out_group % each == 0 && cvl_finish_is_aligned(&g->finish, each);
    for (int i = 0; i < g->parts; i++)
        apart = apart && is_apart(&g->part[i].out_rows, each);
    return apart && is_run(&g->out_columns, each);
}

static void choose_storing(struct cvl_gemm *g)
{
    g->out_by_rows = abs(g->out_columns.at_c) <= abs(g->part[0].out_rows.at_c) || g->part[0].out_rows.count == 1;
    g->wide_out = !g->out_by_rows || g->splits > 1 ? 1
                : g->finish.type != CVL_F32 && stores_wide(g, 8) ? 8 : stores_wide(g, 4) ? 4 : 1;
}

void cvl_gemm_choose_vectors(struct cvl_gemm *g)
{
    choose_bringing(g, (int)cvl_dtype_size(g->type));
    choose_storing(g);
}
