/* The portable kernels: plain C, and the oracle for all others. */
#include "kernels/bitsandbytes.h"
#include "kernels/block_layout.h"
#include "kernels/half.h"
#include "kernels/scalar_blocks.h"
#include "kernels/tables.h"

#include <math.h>
#include <string.h>

static void dequantize_f32(const void *src, float *dst, size_t n)
{
    memcpy(dst, src, n * sizeof *dst);
}

static void dequantize_f16(const void *src, float *dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = f16_to_f32(load_u16((const char *)src + 2 * i));
}

static void dequantize_bf16(const void *src, float *dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        dst[i] = bf16_to_f32(load_u16((const char *)src + 2 * i));
}

void scalar_quantize_f32(const float *src, void *dst, size_t n)
{
    memcpy(dst, src, n * sizeof *src);
}

static void quantize_f16(const float *src, void *dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        store_u16((char *)dst + 2 * i, f32_to_f16(src[i]));
}

void scalar_quantize_bf16(const float *src, void *dst, size_t n)
{
    for (size_t i = 0; i < n; i++)
        store_u16((char *)dst + 2 * i, f32_to_bf16(src[i]));
}

static float dot(const float *a, const float *b, size_t n)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += a[i] * b[i];
    return sum;
}

static void gemm_f32(const float *x, size_t x_stride, size_t n_rows, const float *w,
                     size_t w_stride, size_t n_outputs, size_t n, float *y, size_t y_stride)
{
    for (size_t r = 0; r < n_rows; r++)
        for (size_t o = 0; o < n_outputs; o++)
            y[r * y_stride + o] += dot(x + r * x_stride, w + o * w_stride, n);
}

static void rms_norm(const float *x, const float *weight, float *y, size_t n, float eps)
{
    float scale = 1 / sqrtf(dot(x, x, n) / (float)n + eps);
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * scale * weight[i];
}

static void silu_multiply(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++)
        gate[i] = gate[i] / (1 + expf(-gate[i])) * up[i];
}

static void add(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

static void rope(float *x, const float *cosine, const float *sine, size_t half)
{
    for (size_t i = 0; i < half; i++) {
        float a = x[i], b = x[i + half];
        x[i] = a * cosine[i] - b * sine[i];
        x[i + half] = b * cosine[i] + a * sine[i];
    }
}

/* --- Attention: floats, in order --- */

static void prepare_query(const float *q, float scale, size_t head_dim, void *prepared)
{
    float *to = prepared, factor = scale * LOG2_E;
    for (size_t d = 0; d < attention_width(head_dim); d++)
        to[d] = d < head_dim ? q[d] * factor : 0;
}

/* 32 dimensions of all keys of a page. */
static void decode_key_block(const uint8_t *codes, float *dst)
{
    const uint8_t *scales = codes + BLOCK * KEY_PAGE;
    for (size_t i = 0; i < BLOCK * KEY_PAGE; i++)
        dst[i] = (float)(int8_t)codes[i] * f16_to_f32(load_u16(scales + 2 * (i % KEY_PAGE)));
}

static void prepare_keys(enum tensor_type type, const void *stored, size_t head_dim, void *prepared)
{
    float *to = prepared;
    if (type == TYPE_Q8_0)
        for (size_t d = 0; d < head_dim; d += BLOCK)
            decode_key_block((const uint8_t *)stored + d / BLOCK * Q8_0_BYTES * KEY_PAGE,
                             to + d * KEY_PAGE);
    else
        kernels_scalar.dequantize[type](stored, to, head_dim * KEY_PAGE);
    memset(to + head_dim * KEY_PAGE, 0,
           (attention_width(head_dim) - head_dim) * KEY_PAGE * sizeof *to);
}

static void prepare_values(enum tensor_type type, const void *stored, size_t n_keys,
                           size_t head_dim, void *prepared)
{
    const struct tensor_type_info *info = tensor_type_info(type);
    size_t width = attention_width(head_dim);
    size_t row_bytes = head_dim / info->block_length * info->block_bytes;
    float *to = prepared;
    memset(to, 0, KEY_PAGE * width * sizeof *to);
    for (size_t i = 0; i < n_keys; i++)
        kernels_scalar.dequantize[type]((const uint8_t *)stored + i * row_bytes, to + i * width,
                                        head_dim);
}

static void attention_scores(const void *queries, size_t n, const void *keys, size_t width,
                             float *scores)
{
    const float *q = queries, *page = keys;
    memset(scores, 0, n * KEY_PAGE * sizeof *scores);
    for (size_t r = 0; r < n; r++)
        for (size_t d = 0; d < width; d++)
            for (size_t i = 0; i < KEY_PAGE; i++)
                scores[r * KEY_PAGE + i] += q[r * width + d] * page[d * KEY_PAGE + i];
}

static void attention_mix(const float *weights, size_t n, const void *values, size_t width,
                          float *out)
{
    const float *page = values;
    for (size_t r = 0; r < n; r++)
        for (size_t i = 0; i < KEY_PAGE; i++)
            for (size_t d = 0; d < width; d++)
                out[r * width + d] += weights[r * KEY_PAGE + i] * page[i * width + d];
}

static void raise_max(struct softmax *state, float max, float *out, size_t width)
{
    float shrink = exp2f(state->max - max);
    state->max = max;
    state->sum *= shrink;
    for (size_t d = 0; d < width; d++)
        out[d] *= shrink;
}

static void soften_row(float *scores, struct softmax *state, float *out, size_t width)
{
    float max = -INFINITY;
    for (size_t i = state->begin; i < state->end; i++)
        if (scores[i] > max)
            max = scores[i];
    if (max > state->max)
        raise_max(state, max, out, width);
    for (size_t i = 0; i < KEY_PAGE; i++) {
        bool seen = i >= state->begin && i < state->end;
        scores[i] = seen ? exp2f(scores[i] - state->max) : 0;
        state->sum += scores[i];
    }
}

static void soften(float *scores, size_t n, struct softmax *states, float *out, size_t width)
{
    for (size_t r = 0; r < n; r++)
        soften_row(scores + r * KEY_PAGE, &states[r], out + r * width, width);
}

static const struct attention_kernels attention = {
    .prepare_query = prepare_query,
    .prepare_keys = prepare_keys,
    .prepare_values = prepare_values,
    .scores = attention_scores,
    .soften = soften,
    .mix = attention_mix,
};

const struct kernels kernels_scalar = {
    .name = "scalar",
    .dequantize = {[TYPE_F32] = dequantize_f32,
                   [TYPE_F16] = dequantize_f16,
                   [TYPE_BF16] = dequantize_bf16,
                   [TYPE_Q4_0] = scalar_dequantize_q4_0,
                   [TYPE_Q4_1] = scalar_dequantize_q4_1,
                   [TYPE_Q5_0] = scalar_dequantize_q5_0,
                   [TYPE_Q5_1] = scalar_dequantize_q5_1,
                   [TYPE_Q8_0] = scalar_dequantize_q8_0,
                   [TYPE_Q2_K] = scalar_dequantize_q2_k,
                   [TYPE_Q3_K] = scalar_dequantize_q3_k,
                   [TYPE_Q4_K] = scalar_dequantize_q4_k,
                   [TYPE_Q5_K] = scalar_dequantize_q5_k,
                   [TYPE_Q6_K] = scalar_dequantize_q6_k,
                   [TYPE_NF4] = scalar_dequantize_nf4,
                   [TYPE_FP4] = scalar_dequantize_fp4,
                   [TYPE_INT8] = scalar_dequantize_int8},
    .quantize = {[TYPE_F32] = scalar_quantize_f32,
                 [TYPE_F16] = quantize_f16,
                 [TYPE_BF16] = scalar_quantize_bf16,
                 [TYPE_Q4_0] = scalar_quantize_q4_0,
                 [TYPE_Q4_1] = scalar_quantize_q4_1,
                 [TYPE_Q5_0] = scalar_quantize_q5_0,
                 [TYPE_Q5_1] = scalar_quantize_q5_1,
                 [TYPE_Q8_0] = scalar_quantize_q8_0,
                 [TYPE_NF4] = scalar_quantize_nf4,
                 [TYPE_FP4] = scalar_quantize_fp4,
                 [TYPE_INT8] = scalar_quantize_int8},
    .fit_row = fit_row_scalar,
    .gemm_f32 = gemm_f32,
    .rms_norm = rms_norm,
    .silu_multiply = silu_multiply,
    .add = add,
    .rope = rope,
    .attention = {[TYPE_F32] = &attention, [TYPE_F16] = &attention, [TYPE_Q8_0] = &attention},
};
