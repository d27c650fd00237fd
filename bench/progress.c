/* SPDX-License-Identifier: Apache-2.0 */
#include "bench/progress.h"

#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include "base/clock.h"

#define BAR_WIDTH 30
#define REDRAW_SECONDS 0.1

static volatile sig_atomic_t interrupted;

static void note(int signal) { interrupted = signal; }

void interrupt_install(void)
{
    struct sigaction action = { .sa_handler = note, .sa_flags = (int)SA_RESETHAND | SA_RESTART };
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

int interrupt_signal(void) { return interrupted; }

void progress_start(struct progress *progress, int total, bool quiet)
{
    *progress = (struct progress){ .shown = !quiet && isatty(STDERR_FILENO), .total = total, .start = cvl_now() };
}

bool progress_tell(void *arg, double done)
{
    struct progress *progress = arg;
    const double now = cvl_now();
    if (progress->shown && now - progress->drawn >= REDRAW_SECONDS) {
        const double share = (progress->done + (done < 1 ? done : 1)) / progress->total;
        const int filled = (int)(share * BAR_WIDTH);
        fprintf(stderr, "\r[%.*s%*s] %3.0f %%  %d of %d  %.0f s  %s\033[K", filled,
                "##############################", BAR_WIDTH - filled, "", 100 * share, progress->done + 1,
                progress->total, now - progress->start, progress->label ? progress->label : "");
        fflush(stderr);
        progress->drawn = now;
    }
    return !interrupted;
}

void progress_clear(const struct progress *progress)
{
    if (progress->shown && progress->drawn > 0)
        fputs("\r\033[K", stderr);
}
