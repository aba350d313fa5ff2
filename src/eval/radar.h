/* A radar chart of two models as inline SVG, styled by report.css. Internal to the report. */
#ifndef TANDEM_EVAL_RADAR_H
#define TANDEM_EVAL_RADAR_H

#include "base/strbuf.h"
#include "eval/report_text.h"

struct radar_axis {
    struct bilingual title;
    double values[N_SIDES]; /* 0 to 10 */
    struct interval intervals[N_SIDES];
    bool measured[N_SIDES];
};

void radar_svg(const struct radar_axis *axes, size_t n_axes, struct strbuf *out);

#endif
