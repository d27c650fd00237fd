/* SPDX-License-Identifier: Apache-2.0 */
#include "conv/accuracy.h"

#include "conv/desc.h"

#include <math.h>

/* N sums of k products of random signs in (1/16, 1]: about sqrt(k)/3 times 1 to 3; all of few sums may cancel, below
 * 10^(-4/N) of that once in ten thousand problems; an activation leaves one side of zero, and bounds. */
double cvl_conv_largest_output(const cvl_conv_desc *desc, double k)
{
    const cvl_epilogue *epi = &desc->epi;
    const double outputs = (double)cvl_conv_count(desc, cvl_conv_written(desc->pass));
    const double seen = fmax(epi->act == CVL_ACT_NONE ? outputs : outputs / 4, 0.1);
    const double bound = epi->act == CVL_ACT_RELU6 ? 6
                       : epi->act == CVL_ACT_CLIP ? fmax(fabs((double)epi->lo), fabs((double)epi->hi)) : INFINITY;
    return fmin(sqrt(k) / 3 * pow(10, -4 / seen), fmax(bound, 1e-3));
}
