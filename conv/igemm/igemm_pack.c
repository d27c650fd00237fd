/* SPDX-License-Identifier: Apache-2.0
 * The packed filter: panels of as many written channels as a vector has lanes, each (r, s, channels, lanes). It depends
 * on neither stride nor dilation: a residue class of BWD_DATA takes its taps out of it with steps. */
#include "conv/igemm/igemm.h"

#include "base/threads.h"

#include <string.h>

void cvl_igemm_pack_panels(const struct cvl_igemm *g, const struct cvl_igemm_panels *p)
{
    const int lanes = g->kern->lanes, all_r = g->desc->r, all_s = g->desc->s;
    for (int panel = p->first; panel < p->last; panel++) {
        const int filled = cvl_min(lanes, g->out_channels - panel * lanes);
        const float *from = p->w + p->group * g->w_group + (ptrdiff_t)panel * lanes * g->w_out
                          + p->channel * g->w_in;
        float *to = p->to + (panel - p->first) * p->pitch;
        for (int tap = 0; tap < all_r * all_s; tap++, to += p->channels * lanes) {
            const struct cvl_copy copy = {
                .to = to, .to_row = lanes, .rows = p->channels, .lanes = filled, .from_row = g->w_in,
                .from_lane = g->w_out, .from = from + tap / all_s * g->w.at[2] + tap % all_s * g->w.at[3],
            };
            g->kern->copy(&copy);
            g->kern->zero(to + filled, lanes, filled < lanes ? p->channels : 0, lanes - filled);
        }
    }
}

struct job { const struct cvl_igemm *igemm; const float *w; float *packed; };

static void pack_task(int task, int slot, void *arg)
{
    const struct job *job = arg;
    const struct cvl_igemm *g = job->igemm;
    float *to = job->packed + (ptrdiff_t)task * g->panel;
    const ptrdiff_t used = (ptrdiff_t)g->taps * g->in_channels * g->kern->lanes;
    const struct cvl_igemm_panels panels = {
        .w = job->w, .to = to, .pitch = g->panel, .group = task / g->panels, .first = task % g->panels,
        .last = task % g->panels + 1, .channels = g->in_channels,
    };
    cvl_igemm_pack_panels(g, &panels);
    memset(to + used, 0, (size_t)(g->panel - used) * sizeof *to);
}

void cvl_igemm_pack(const struct cvl_igemm *igemm, const float *w, float *packed)
{
    struct job job = { igemm, w, packed };
    cvl_parallel_for(igemm->ctx, igemm->desc->groups * igemm->panels, pack_task, &job);
}
