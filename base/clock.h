/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

double cvl_now(void);              /* seconds of the monotonic clock */
double cvl_clock_resolution(void); /* seconds: the smallest step seen between two readings */

#endif
