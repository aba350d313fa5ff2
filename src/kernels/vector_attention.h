/* Attention's kernels, over the primitives and the decoders of vector_body.h. Queries and pages are
 * prepared as floats. Each sum is one chain of fused multiplications and additions, in order of
 * dimensions or of positions. */
#ifndef TANDEM_KERNELS_VECTOR_ATTENTION_H
#define TANDEM_KERNELS_VECTOR_ATTENTION_H

static void prepare_query(const float *q, float scale, size_t head_dim, void *prepared)
{
    float *to = prepared, factor = scale * LOG2_E;
    for (size_t d = 0; d < head_dim; d++)
        to[d] = q[d] * factor;
    for (size_t d = head_dim; d < attention_width(head_dim); d++)
        to[d] = 0;
}

/* 32 dimensions of all keys of a page. */
static void decode_key_block(const uint8_t *codes, float *dst)
{
    v_float scales[KEY_PAGE / VECTOR_LANES];
    const uint8_t *stored_scales = codes + BLOCK * KEY_PAGE;
    for (size_t j = 0; j < KEY_PAGE / VECTOR_LANES; j++)
        scales[j] = v_load_f16(stored_scales + 2 * j * VECTOR_LANES);
    for (size_t d = 0; d < BLOCK; d++, codes += KEY_PAGE, dst += KEY_PAGE)
        for (size_t j = 0; j < KEY_PAGE / VECTOR_LANES; j++)
            v_store(dst + j * VECTOR_LANES,
                    v_mul(v_load_int8(codes + j * VECTOR_LANES), scales[j]));
}

static void prepare_keys(enum tensor_type type, const void *stored, size_t head_dim, void *prepared)
{
    float *to = prepared;
    if (type == TYPE_Q8_0)
        for (size_t d = 0; d < head_dim; d += BLOCK)
            decode_key_block((const uint8_t *)stored + d / BLOCK * Q8_0_BYTES * KEY_PAGE,
                             to + d * KEY_PAGE);
    else
        VECTOR_TABLE.dequantize[type](stored, to, head_dim * KEY_PAGE);
    memset(to + head_dim * KEY_PAGE, 0,
           (attention_width(head_dim) - head_dim) * KEY_PAGE * sizeof *to);
}

static void prepare_values(enum tensor_type type, const void *stored, size_t n_keys,
                           size_t head_dim, void *prepared)
{
    const struct tensor_type_info *info = tensor_type_info(type);
    size_t width = attention_width(head_dim);
    size_t row_bytes = head_dim / info->block_length * info->block_bytes;
    size_t together = width == head_dim ? n_keys : 1; /* rows without a gap after them */
    float *to = prepared;
    for (size_t i = 0; i < n_keys; i += together, to += together * width) {
        VECTOR_TABLE.dequantize[type]((const uint8_t *)stored + i * row_bytes, to,
                                      together * head_dim);
        memset(to + together * head_dim, 0, together * (width - head_dim) * sizeof *to);
    }
    memset(to, 0, (KEY_PAGE - n_keys) * width * sizeof *to);
}

/* A right side of products: rows of floats, or of halves as they are stored. With each row of
 * halves, a line or two of what is needed next are asked for. */
struct outer_right {
    const void *at;
    size_t stride;       /* elements */
    const uint8_t *next; /* of halves only, as the next: */
    bool two;
};

INLINE size_t right_bytes(const bool half, size_t elements)
{
    return elements * (half ? 2 : sizeof(float));
}

INLINE v_float load_right(const bool half, const uint8_t *b)
{
    return half ? v_load_f16(b) : v_load((const float *)(const void *)b);
}

/* y[r, 0..vectors) (+)= sum_k a[r, k] * b[k, ...]. Constants where this is inlined: rows, vectors,
 * adds and half. */
INLINE void outer_block(const size_t rows, const size_t vectors, const bool adds, const bool half,
                        const float *a, size_t a_stride, struct outer_right right, size_t n,
                        float *y, size_t y_stride)
{
    const uint8_t *b = right.at;
    v_float sums[GEMM_ROWS][4], of_b[4];
    UNROLL
    for (size_t r = 0; r < rows; r++)
        UNROLL
    for (size_t j = 0; j < vectors; j++)
        sums[r][j] = adds ? v_load(y + r * y_stride + j * VECTOR_LANES) : v_set(0);
    for (size_t k = 0; k < n; k++, b += right_bytes(half, right.stride)) {
        if (half) {
            __builtin_prefetch(right.next, 0, 0);
            if (right.two)
                __builtin_prefetch(right.next + 64, 0, 0);
            right.next += right.two ? 128 : 64;
        }
        UNROLL
        for (size_t j = 0; j < vectors; j++)
            of_b[j] = load_right(half, b + right_bytes(half, j * VECTOR_LANES));
        UNROLL
        for (size_t r = 0; r < rows; r++) {
            v_float left = v_set(a[r * a_stride + k]);
            UNROLL
            for (size_t j = 0; j < vectors; j++)
                sums[r][j] = v_fma(left, of_b[j], sums[r][j]);
        }
    }
    UNROLL
    for (size_t r = 0; r < rows; r++)
        UNROLL
    for (size_t j = 0; j < vectors; j++)
        v_store(y + r * y_stride + j * VECTOR_LANES, sums[r][j]);
}

typedef void outer_fixed(const float *a, size_t a_stride, struct outer_right right, size_t n,
                         float *y, size_t y_stride);

#define OUTER_OF(rows, vectors, adds, half)                                                        \
    static void outer_##rows##x##vectors##adds##half(const float *a, size_t a_stride,              \
                                                     struct outer_right right, size_t n, float *y, \
                                                     size_t y_stride)                              \
    {                                                                                              \
        outer_block(rows, vectors, adds, half, a, a_stride, right, n, y, y_stride);                \
    }
#define OUTERS_OF(rows)                                                                            \
    OUTER_OF(rows, 4, 0, 0)                                                                        \
    OUTER_OF(rows, 4, 1, 0)                                                                        \
    OUTER_OF(rows, 2, 1, 0)                                                                        \
    OUTER_OF(rows, 4, 0, 1)                                                                        \
    OUTER_OF(rows, 4, 1, 1)                                                                        \
    OUTER_OF(rows, 2, 1, 1)

OUTERS_OF(1)
OUTERS_OF(2)
OUTERS_OF(3)
#if GEMM_ROWS >= 6
OUTERS_OF(4)
OUTERS_OF(5)
OUTERS_OF(6)
#define OUTER_TABLE(kind)                                                                          \
    {                                                                                              \
        outer_1x##kind, outer_2x##kind, outer_3x##kind, outer_4x##kind, outer_5x##kind,            \
            outer_6x##kind                                                                         \
    }
#else
#define OUTER_TABLE(kind)                                                                          \
    {                                                                                              \
        outer_1x##kind, outer_2x##kind, outer_3x##kind                                             \
    }
#endif
/* By half and rows - 1. */
static outer_fixed *const outer_scores[][GEMM_ROWS] = {OUTER_TABLE(400), OUTER_TABLE(401)};
static outer_fixed *const outer_wide[][GEMM_ROWS] = {OUTER_TABLE(410), OUTER_TABLE(411)};
static outer_fixed *const outer_narrow[][GEMM_ROWS] = {OUTER_TABLE(210), OUTER_TABLE(211)};

/* The keys or values that are needed after those of a page, and who asks for them: each of some
 * calls for its share of the lines. */
struct upcoming {
    const uint8_t *at;
    size_t lines, call, calls;
};

/* The right side, from its element i on, in one of the calls, which has `rows` rows. */
INLINE struct outer_right right_from(struct outer_right right, const bool half, size_t i,
                                     struct upcoming *next, size_t rows)
{
    right.at = (const uint8_t *)right.at + right_bytes(half, i);
    if (half) {
        size_t share = next->lines / next->calls;
        right.two = share > rows;
        size_t begin = share * next->call++, asked = right.two ? 2 * rows : rows;
        size_t last = asked < next->lines ? next->lines - asked : 0;
        right.next = next->at + 64 * size_min(begin, last);
    }
    return right;
}

/* For products of n rows by a page whose rows have `width` elements, `at_once` of them in a call.
 * What is needed next is KEY_PAGE * page_width halves. */
INLINE struct upcoming upcoming(const void *next, size_t n, size_t width, size_t at_once,
                                size_t page_width)
{
    size_t groups = (n + GEMM_ROWS - 1) / GEMM_ROWS, passes = (width + at_once - 1) / at_once;
    return (struct upcoming){.at = next,
                             .lines = right_bytes(true, KEY_PAGE * page_width) / 64,
                             .calls = groups * passes};
}

INLINE void score_page(const bool half, const float *queries, size_t n, struct outer_right keys,
                       const void *next, size_t width, float *scores)
{
    enum { AT_ONCE = 4 * VECTOR_LANES };
    struct upcoming values = upcoming(next, n, KEY_PAGE, AT_ONCE, width);
    for (size_t r = 0, rows; r < n; r += rows) {
        rows = size_group(n - r, GEMM_ROWS); /* one alone would wait for its own sums */
        for (size_t i = 0; i < KEY_PAGE; i += AT_ONCE)
            outer_scores[half][rows - 1](queries + r * width, width,
                                         right_from(keys, half, i, &values, width), width,
                                         scores + r * KEY_PAGE + i, KEY_PAGE);
    }
}

INLINE void mix_page(const bool half, const float *weights, size_t n, struct outer_right values,
                     const void *next, size_t n_keys, float *out)
{
    enum { AT_ONCE = 4 * VECTOR_LANES };
    size_t width = values.stride;
    struct upcoming keys = upcoming(next, n, width, AT_ONCE, width);
    for (size_t r = 0, rows; r < n; r += rows) {
        rows = size_group(n - r, GEMM_ROWS);
        const float *from = weights + r * KEY_PAGE;
        for (size_t d = 0; d < width; d += AT_ONCE) /* the last may be 32: two vectors */
            (d + AT_ONCE <= width ? outer_wide : outer_narrow)[half][rows - 1](
                from, KEY_PAGE, right_from(values, half, d, &keys, n_keys), n_keys,
                out + r * width + d, width);
    }
}

static void attention_scores(const void *queries, size_t n, const void *keys, size_t width,
                             float *scores)
{
    score_page(false, queries, n, (struct outer_right){.at = keys, .stride = KEY_PAGE}, NULL, width,
               scores);
}

static void attention_mix(const float *weights, size_t n, const void *values, size_t width,
                          float *out)
{
    mix_page(false, weights, n, (struct outer_right){.at = values, .stride = width}, NULL, KEY_PAGE,
             out);
}

static void scores_of_halves(const void *queries, size_t n, const void *keys, const void *next,
                             size_t width, float *scores)
{
    score_page(true, queries, n, (struct outer_right){.at = keys, .stride = KEY_PAGE}, next, width,
               scores);
}

static void mix_of_halves(const float *weights, size_t n, const void *values, const void *next,
                          size_t n_keys, size_t width, float *out)
{
    mix_page(true, weights, n, (struct outer_right){.at = values, .stride = width}, next, n_keys,
             out);
}

static void hide(float *scores, size_t begin, size_t end)
{
    for (size_t i = 0; i < begin; i++)
        scores[i] = -INFINITY;
    for (size_t i = end; i < KEY_PAGE; i++)
        scores[i] = -INFINITY;
}

static void raise_max(struct softmax *state, float max, float *out, size_t width)
{
    v_float shrink = v_exp2(v_set(state->max - max));
    float first[VECTOR_LANES];
    v_store(first, shrink);
    state->max = max;
    state->sum *= first[0];
    for (size_t d = 0; d < width; d += VECTOR_LANES)
        v_store(out + d, v_mul(v_load(out + d), shrink));
}

/* The row's maximum, with this page's scores. */
INLINE void take_max(float *scores, struct softmax *state, float *out, size_t width)
{
    if (state->end - state->begin < KEY_PAGE)
        hide(scores, state->begin, state->end);
    v_float most = v_load(scores);
    for (size_t i = VECTOR_LANES; i < KEY_PAGE; i += VECTOR_LANES)
        most = v_larger(most, v_load(scores + i));
    float max = v_largest(most);
    if (max > state->max)
        raise_max(state, max, out, width);
}

/* The row's weights; what they add up to, lane by lane. */
INLINE v_float exponentials(float *scores, const struct softmax *state)
{
    v_float sum = v_set(0), max = v_set(state->max);
    UNROLL
    for (size_t i = 0; i < KEY_PAGE; i += VECTOR_LANES) {
        v_float e = v_exp2(v_sub(v_load(scores + i), max));
        v_store(scores + i, e);
        sum = v_add(sum, e);
    }
    return sum;
}

/* A few rows at once, so that none waits for its own maximum. */
static void soften(float *scores, size_t n, struct softmax *states, float *out, size_t width)
{
    enum { TOGETHER = 8 };
    for (size_t r = 0; r < n; r += TOGETHER, scores += TOGETHER * KEY_PAGE) {
        size_t rows = size_min(n - r, TOGETHER);
        struct softmax *state = states + r;
        v_float sums[TOGETHER];
        for (size_t i = 0; i < rows; i++)
            if (state[i].begin < state[i].end)
                take_max(scores + i * KEY_PAGE, &state[i], out + (r + i) * width, width);
        for (size_t i = 0; i < rows; i++) {
            sums[i] = v_set(0);
            if (state[i].begin < state[i].end)
                sums[i] = exponentials(scores + i * KEY_PAGE, &state[i]);
            else
                memset(scores + i * KEY_PAGE, 0, KEY_PAGE * sizeof *scores);
        }
        for (size_t i = 0; i < rows; i++)
            state[i].sum += v_sum(sums[i]);
    }
}

#endif
