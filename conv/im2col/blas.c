/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/im2col/blas.h"

#include <assert.h>
#include <cblas.h>
#include <pthread.h>
#ifdef _OPENMP
#include <omp.h>
#endif

/* Once a thread, because in OpenBLAS's OpenMP flavour the switch reaches no further than its caller. */
static void switch_to_one(void)
{
    static _Thread_local bool done;
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    if (done)
        return;
    pthread_mutex_lock(&mutex);
    openblas_set_num_threads(1);
    pthread_mutex_unlock(&mutex);
    done = true;
}

/* Returns what leave_one wants: this thread's setting before, or 0 for none to restore. */
static int enter_one(void)
{
#ifdef _OPENMP
    if (openblas_get_parallel() == OPENBLAS_OPENMP) {
        const int before = omp_get_max_threads();
        if (before == 1)
            return 0;
        omp_set_num_threads(1);
        return before;
    }
#endif
    switch_to_one();
    return 0;
}

static void leave_one(int before)
{
#ifdef _OPENMP
    if (before)
        omp_set_num_threads(before);
#endif
}

static enum CBLAS_TRANSPOSE flag(const struct cvl_matrix *m)
{
    return m->transposed ? CblasTrans : CblasNoTrans;
}

void cvl_sgemm(const struct cvl_matrix *a, const struct cvl_matrix *b, float beta, const struct cvl_matrix *c)
{
    assert(a->rows == c->rows && b->cols == c->cols && a->cols == b->rows);
    if (c->transposed) {
        const struct cvl_matrix left = cvl_matrix_transpose(*b), right = cvl_matrix_transpose(*a);
        const struct cvl_matrix product = cvl_matrix_transpose(*c);
        cvl_sgemm(&left, &right, beta, &product);
        return;
    }
    const int before = enter_one();
    cblas_sgemm(CblasRowMajor, flag(a), flag(b), c->rows, c->cols, a->cols, 1, a->at, a->ld, b->at, b->ld, beta,
                c->at, c->ld);
    leave_one(before);
}
