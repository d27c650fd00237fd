/* SPDX-License-Identifier: Apache-2.0
 * Matrices where they lie, and OpenBLAS's sgemm on them.
 *
 * Every call runs on the calling thread alone; our tasks are the parallelism. OpenBLAS built for OpenMP obeys this
 * thread's own setting, which is restored afterwards. OpenBLAS with threads of its own, and any OpenBLAS below a libcvl
 * that was built without OpenMP, knows only a switch for the process: it is set to one thread at the first call and
 * stays so. */
#ifndef CONV_IM2COL_BLAS_H
#define CONV_IM2COL_BLAS_H

#include <stdbool.h>
#include <stddef.h>

/* Element (i,j) lies at i*ld + j; transposed: at j*ld + i. */
struct cvl_matrix {
    float *at;
    int    rows, cols, ld;
    bool   transposed;
};

static inline struct cvl_matrix cvl_matrix_transpose(struct cvl_matrix m)
{
    return (struct cvl_matrix){ m.at, m.cols, m.rows, m.ld, !m.transposed };
}

static inline struct cvl_matrix cvl_matrix_rows(struct cvl_matrix m, int first, int rows)
{
    m.at += m.transposed ? first : (ptrdiff_t)first * m.ld;
    m.rows = rows;
    return m;
}

static inline struct cvl_matrix cvl_matrix_cols(struct cvl_matrix m, int first, int cols)
{
    return cvl_matrix_transpose(cvl_matrix_rows(cvl_matrix_transpose(m), first, cols));
}

/* c = a * b + beta * c; with beta = 0, c is not read. */
void cvl_sgemm(const struct cvl_matrix *a, const struct cvl_matrix *b, float beta, const struct cvl_matrix *c);

#endif
