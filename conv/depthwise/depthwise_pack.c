/* SPDX-License-Identifier: Apache-2.0
 * The packed filter: (panel, r, s, channels that are summed, lanes), zero in lanes past the panel's last. */
#include "base/threads.h"
#include "conv/depthwise/depthwise.h"

#include <string.h>

struct packing {
    const struct cvl_dw *dw;
    const float         *w;
    float               *packed;
};

static ptrdiff_t panel_floats(const struct cvl_dw *dw)
{
    return (ptrdiff_t)dw->desc->r * dw->desc->s * dw->in_channels * dw->lanes;
}

size_t cvl_dw_packed_floats(const struct cvl_dw *dw)
{
    return (size_t)dw->panels * (size_t)panel_floats(dw);
}

static void pack_panel(int number, int slot, void *arg)
{
    const struct packing *packing = arg;
    const struct cvl_dw *dw = packing->dw;
    const struct cvl_dw_panel panel = cvl_dw_panel_of(dw, number);
    const int out = dw->out_channels, lanes = dw->lanes;
    float *to = packing->packed + number * panel_floats(dw);
    if (panel.lanes < lanes)
        memset(to, 0, sizeof *to * (size_t)panel_floats(dw));
    for (int lane = 0; lane < panel.lanes; lane++) {
        const int channel = panel.first + lane;
        const float *w = packing->w + channel / out * dw->w_group + channel % out * dw->w_out;
        for (int r = 0, at = lane; r < dw->desc->r; r++)
            for (int s = 0; s < dw->desc->s; s++)
                for (int i = 0; i < dw->in_channels; i++, at += lanes)
                    to[at] = w[r * dw->w.at[2] + s * dw->w.at[3] + i * dw->w_in];
    }
}

void cvl_dw_pack(const struct cvl_dw *dw, const float *w, float *packed)
{
    cvl_parallel_for(dw->ctx, dw->panels, pack_panel, &(struct packing){ dw, w, packed });
}
