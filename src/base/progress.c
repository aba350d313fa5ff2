#include "base/progress.h"
#include "base/clock.h"

#include <stdio.h>
#include <unistd.h>

enum { BAR_WIDTH = 24 };

static void format_duration(double seconds, char out[40])
{
    unsigned long s = seconds < 0 || seconds > 1e8 ? 0 : (unsigned long)(seconds + 0.5);
    if (s >= 3600)
        snprintf(out, 40, "%lu:%02lu:%02lu", s / 3600, s / 60 % 60, s % 60);
    else
        snprintf(out, 40, "%lu:%02lu", s / 60, s % 60);
}

void progress_update(struct progress *bar, size_t done, const char *detail)
{
    if (!isatty(STDERR_FILENO))
        return;
    double now = clock_seconds();
    if (!bar->started)
        bar->started = now;
    else if (now - bar->drawn < 0.1 && done < bar->total)
        return;
    bar->drawn = now;
    double share = bar->total ? (double)done / (double)bar->total : 0;
    share = share > 1 ? 1 : share;
    char cells[BAR_WIDTH + 1], elapsed[40], remaining[40];
    for (int i = 0; i < BAR_WIDTH; i++)
        cells[i] = i < (int)(share * BAR_WIDTH) ? '#' : '.';
    cells[BAR_WIDTH] = 0;
    double passed = now - bar->started;
    format_duration(passed, elapsed);
    format_duration(share > 0 ? passed / share - passed : 0, remaining);
    fprintf(stderr, "\r\033[K%s [%s] %zu/%zu  %s, %s left  %.40s", bar->label, cells, done,
            bar->total, elapsed, share > 0 ? remaining : "?", detail ? detail : "");
    fflush(stderr);
}

void progress_finish(struct progress *bar)
{
    if (bar->started)
        fputs("\r\033[K", stderr);
}
