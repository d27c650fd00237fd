/* SPDX-License-Identifier: Apache-2.0
 * The packed filter: (groups, panels, s, r, channels that are read, lanes of a panel), zero past the last channel. A
 * group of fewer channels than a panel has lanes takes as many vectors as it needs. */
#include "base/threads.h"
#include "conv/direct/direct.h"

#include <string.h>

static int pitch_of(const struct cvl_direct_job *job)
{
    const int lanes = job->kern->lanes;
    return cvl_at_most((job->out_channels + lanes - 1) / lanes * lanes, job->kern->panel);
}

ptrdiff_t cvl_direct_packed_panel(const struct cvl_direct_job *job)
{
    return (ptrdiff_t)job->desc->s * job->desc->r * job->in_channels * pitch_of(job);
}

void cvl_direct_use_packed(struct cvl_direct_job *job, const float *packed)
{
    const bool backward = job->desc->pass == CVL_BWD_DATA;
    const ptrdiff_t pitch = pitch_of(job), tap = pitch * job->in_channels;
    job->packed = packed;
    job->strides.w = (struct cvl_strides){
        .at = { backward ? pitch : 1, backward ? 1 : pitch, tap, tap * job->desc->r },
    };
}

struct packing {
    const struct cvl_direct_job *job;
    float *packed;
};

static void pack_panel(int panel, int slot, void *arg)
{
    const struct packing *packing = arg;
    const struct cvl_direct_job *job = packing->job;
    const struct cvl_direct_filter_strides w = cvl_direct_filter_strides(job);
    const int panels = cvl_direct_panels(job), group = panel / panels, o = panel % panels * job->kern->panel;
    float *to = packing->packed + panel * cvl_direct_packed_panel(job);
    memset(to, 0, sizeof *to * cvl_direct_packed_panel(job));
    for (int s = 0; s < job->desc->s; s++)
        for (int r = 0; r < job->desc->r; r++) {
            job->kern->copy(&(struct cvl_direct_copy){
                .to = to, .to_step = pitch_of(job), .from_step = w.i, .from_lane = w.o,
                .from = job->filter + group * w.group + o * w.o + r * job->strides.w.at[2] + s * job->strides.w.at[3],
                .steps = job->in_channels, .lanes = cvl_at_most(job->out_channels - o, job->kern->panel),
            });
            to += (ptrdiff_t)job->in_channels * pitch_of(job);
        }
}

void cvl_direct_pack(const cvl_ctx *ctx, const struct cvl_direct_job *job, float *packed)
{
    cvl_parallel_for(ctx, job->desc->groups * cvl_direct_panels(job), pack_panel, &(struct packing){ job, packed });
}
