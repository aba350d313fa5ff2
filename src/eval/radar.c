#include "eval/radar.h"

#include <math.h>
#include <string.h>

static const double radius = 150, centre_x = 240, centre_y = 182;
enum { MAX_SCORE = 10, RING_STEP = 2 };

struct point {
    double x, y;
};

/* The place of a score on an axis, moved `aside` across it. The first axis points up. */
static struct point place(size_t axis, size_t n_axes, double score, double aside)
{
    double angle = 2 * M_PI * (double)axis / (double)n_axes;
    double along = radius * score / MAX_SCORE;
    return (struct point){centre_x + along * sin(angle) + aside * cos(angle),
                          centre_y - along * cos(angle) + aside * sin(angle)};
}

static void add_ring(size_t n_axes, double score, struct strbuf *out)
{
    strbuf_add(out, "<polygon class=\"ring\" points=\"");
    for (size_t i = 0; i < n_axes; i++) {
        struct point p = place(i, n_axes, score, 0);
        strbuf_printf(out, "%.1f,%.1f ", p.x, p.y);
    }
    strbuf_add(out, "\"/>\n");
}

static void add_grid(size_t n_axes, struct strbuf *out)
{
    for (int score = RING_STEP; score <= MAX_SCORE; score += RING_STEP)
        add_ring(n_axes, score, out);
    for (size_t i = 0; i < n_axes; i++) {
        struct point p = place(i, n_axes, MAX_SCORE, 0);
        strbuf_printf(out, "<line class=\"axis\" x1=\"%g\" y1=\"%g\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
                      centre_x, centre_y, p.x, p.y);
    }
    for (int score = RING_STEP; score <= MAX_SCORE; score += RING_STEP) {
        struct point p = place(0, n_axes, score, -6);
        strbuf_printf(out, "<text class=\"tick\" x=\"%.1f\" y=\"%.1f\">%d</text>\n", p.x, p.y + 3,
                      score);
    }
}

/* A label of one line, or of two where it stands at the side and has several words. */
static void add_label_text(const char *text, const char *language, const char *anchor,
                           struct point at, bool beside, struct strbuf *out)
{
    const char *space = beside ? strrchr(text, ' ') : NULL;
    size_t first = space ? (size_t)(space - text) : strlen(text);
    strbuf_printf(out, "<text class=\"label %s\" text-anchor=\"%s\" x=\"%.1f\" y=\"%.1f\">",
                  language, anchor, at.x, space ? at.y - 8 : at.y);
    html_escape(out, text, first);
    if (space) {
        strbuf_printf(out, "<tspan x=\"%.1f\" dy=\"1.2em\">", at.x);
        html_escape(out, space + 1, strlen(space + 1));
        strbuf_add(out, "</tspan>");
    }
    strbuf_add(out, "</text>\n");
}

static void add_label(const struct radar_axis *axis, size_t i, size_t n_axes, struct strbuf *out)
{
    struct point p = place(i, n_axes, MAX_SCORE + 0.8, 0);
    bool left = p.x<centre_x - radius / 2, right = p.x> centre_x + radius / 2;
    const char *anchor = right ? "start" : left ? "end" : "middle";
    bool below = p.y > centre_y + radius / 2, beside = (left || right) && !below;
    bool above = !below && !beside;
    struct point at = {p.x, p.y + (below ? 12 : above ? -5 : 4)};
    if (below) /* there is room on both sides of the axis' end */
        anchor = "middle";
    add_label_text(axis->title.en, "en", anchor, at, beside, out);
    add_label_text(axis->title.zh, "zh", anchor, at, false, out);
}

static void add_whiskers(const struct radar_axis *axes, size_t n_axes, size_t side,
                         struct strbuf *out)
{
    double aside = side == SIDE_A ? -3 : 3;
    for (size_t i = 0; i < n_axes; i++) {
        if (!axes[i].measured[side])
            continue;
        struct point low = place(i, n_axes, axes[i].intervals[side].low, aside);
        struct point high = place(i, n_axes, axes[i].intervals[side].high, aside);
        strbuf_printf(out,
                      "<line class=\"whisker\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" "
                      "y2=\"%.1f\"/>\n",
                      low.x, low.y, high.x, high.y);
    }
}

/* Circles for A, squares for B: told apart without colour. Nothing where nothing is known. */
static void add_markers(const struct radar_axis *axes, size_t n_axes, size_t side,
                        struct strbuf *out)
{
    for (size_t i = 0; i < n_axes; i++) {
        struct point p = place(i, n_axes, axes[i].values[side], 0);
        if (!axes[i].measured[side])
            continue;
        if (side == SIDE_A)
            strbuf_printf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5.5\"/>\n", p.x, p.y);
        else
            strbuf_printf(out, "<rect x=\"%.1f\" y=\"%.1f\" width=\"8\" height=\"8\"/>\n", p.x - 4,
                          p.y - 4);
    }
}

static void add_side(const struct radar_axis *axes, size_t n_axes, size_t side, struct strbuf *out)
{
    strbuf_printf(out, "<g class=\"side-%c\"><polygon class=\"area\" points=\"", "ab"[side]);
    for (size_t i = 0; i < n_axes; i++) {
        struct point p = place(i, n_axes, axes[i].measured[side] ? axes[i].values[side] : 0, 0);
        strbuf_printf(out, "%.1f,%.1f ", p.x, p.y);
    }
    strbuf_add(out, "\"/>\n");
    add_whiskers(axes, n_axes, side, out);
    add_markers(axes, n_axes, side, out);
    strbuf_add(out, "</g>\n");
}

void radar_svg(const struct radar_axis *axes, size_t n_axes, struct strbuf *out)
{
    strbuf_add(out, "<svg class=\"radar\" viewBox=\"-14 -4 508 350\" role=\"img\" "
                    "aria-labelledby=\"radar-title\"><title id=\"radar-title\">"
                    "Scores of both models on five dimensions, 0 in the centre to 10; the table "
                    "beside has the numbers</title>\n");
    add_grid(n_axes, out);
    for (size_t side = 0; side < N_SIDES; side++)
        add_side(axes, n_axes, side, out);
    for (size_t i = 0; i < n_axes; i++)
        add_label(&axes[i], i, n_axes, out);
    strbuf_add(out, "</svg>\n");
}
