/* SPDX-License-Identifier: Apache-2.0
 * Which elements of an output are held against the oracle, and how far they are from it. */
#include "conv/reference/oracle.h"

#include "base/dtype.h"
#include "base/random.h"

#include <float.h>
#include <math.h>

enum { CORNERS = 16 };

static bool is_listed(const size_t *indices, size_t count, size_t index)
{
    for (size_t i = 0; i < count; i++)
        if (indices[i] == index)
            return true;
    return false;
}

/* The 16 corners, the first and the last element before the others; returns how many differ. */
static size_t sample_corners(const cvl_conv_desc *desc, size_t *indices, size_t max)
{
    const enum cvl_tensor written = cvl_conv_written(desc->pass);
    const struct cvl_strides strides = cvl_conv_strides(desc, written);
    int dims[4];
    cvl_conv_dims(desc, written, dims);
    size_t count = 0;
    for (int i = 0; i < CORNERS && count < max; i++) {
        const int corner = i == 0 ? 0 : i == 1 ? CORNERS - 1 : i - 1;
        int at[4];
        for (int axis = 0; axis < 4; axis++)
            at[axis] = corner >> axis & 1 ? dims[axis] - 1 : 0;
        const ptrdiff_t index = cvl_offset(&strides, at[0], at[1], at[2], at[3]);
        if (!is_listed(indices, count, (size_t)index))
            indices[count++] = (size_t)index;
    }
    return count;
}

/* After the corners, one element from each of as many equal stretches of the tensor as there is room for. */
size_t cvl_oracle_sample(const cvl_conv_desc *desc, uint64_t seed, size_t *indices, size_t max)
{
    const size_t total = cvl_conv_count(desc, cvl_conv_written(desc->pass));
    if (total <= max) {
        for (size_t i = 0; i < total; i++)
            indices[i] = i;
        return total;
    }
    struct cvl_random random = {seed};
    const size_t corners = sample_corners(desc, indices, max), stretches = max - corners;
    size_t count = corners;
    for (size_t i = 0; i < stretches; i++) {
        const size_t first = total * i / stretches, length = total * (i + 1) / stretches - first;
        size_t offset = (size_t)cvl_random_below(&random, (int)length), tries = 0;
        while (tries < length && is_listed(indices, corners, first + offset)) {
            offset = (offset + 1) % length;
            tries++;
        }
        if (tries < length)
            indices[count++] = first + offset;
    }
    return count;
}

/* Errors are relative to the largest value, but to no less than the smallest number of full precision. */
static double floor_of(cvl_dtype type)
{
    static const double floors[] = {[CVL_F32] = FLT_MIN, [CVL_BF16] = FLT_MIN, [CVL_F16] = 0x1p-14,
                                    [CVL_S8] = 1, [CVL_U8] = 1, [CVL_S32] = 1};
    return floors[type];
}

struct cvl_error cvl_oracle_compare(const cvl_conv_desc *desc, const void *written, const size_t *indices, size_t count,
                                    const double *want)
{
    const cvl_dtype type = cvl_conv_type(desc, cvl_conv_written(desc->pass));
    struct cvl_error error = {.checked = count};
    double worst = -1, largest = floor_of(type), squares = 0, want_squares = 0;
    for (size_t i = 0; i < count; i++) {
        const size_t index = indices ? indices[i] : i;
        const double got = cvl_dtype_load(type, written, index), stored = cvl_dtype_round(type, want[i]);
        double difference = INFINITY;
        if (isfinite(got) && isfinite(stored)) {
            difference = fabs(got - want[i]);
            largest = fmax(largest, fabs(want[i]));
            want_squares += want[i] * want[i];
        } else if (isnan(got) ? isnan(stored) : got == stored) {
            difference = 0;
        }
        squares += difference * difference;
        if (difference > worst) {
            worst = difference;
            error.worst = index;
            error.got = got;
            error.want = want[i];
        }
    }
    if (count > 0) {
        error.rel = worst / largest;
        error.l2 = sqrt(squares) / fmax(sqrt(want_squares), floor_of(type));
    }
    return error;
}
