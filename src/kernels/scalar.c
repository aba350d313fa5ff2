/* The portable kernels: plain C, and the oracle for all others. */
#include "kernels/half.h"
#include "kernels/bitsandbytes.h"
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

static float load_element(enum tensor_type type, const char *row, size_t i)
{
    float value;
    if (type == TYPE_F16)
        return f16_to_f32(load_u16(row + 2 * i));
    memcpy(&value, row + 4 * i, sizeof value);
    return value;
}

static void attention_scores(enum tensor_type type, const float *q, const void *keys, size_t stride,
                             size_t n_keys, size_t head_dim, float scale, float *scores)
{
    for (size_t i = 0; i < n_keys; i++) {
        const char *key = (const char *)keys + i * stride;
        float sum = 0;
        for (size_t d = 0; d < head_dim; d++)
            sum += q[d] * load_element(type, key, d);
        scores[i] = sum * scale;
    }
}

static void attention_mix(enum tensor_type type, const float *weights, const void *values,
                          size_t stride, size_t n_keys, size_t head_dim, float *out)
{
    for (size_t i = 0; i < n_keys; i++) {
        const char *value = (const char *)values + i * stride;
        for (size_t d = 0; d < head_dim; d++)
            out[d] += weights[i] * load_element(type, value, d);
    }
}

static float exp_sum(float *x, size_t n, float max)
{
    float sum = 0;
    for (size_t i = 0; i < n; i++) {
        x[i] = expf(x[i] - max);
        sum += x[i];
    }
    return sum;
}

static float maximum(const float *x, size_t n)
{
    float max = -INFINITY;
    for (size_t i = 0; i < n; i++)
        if (x[i] > max)
            max = x[i];
    return max;
}

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
    .gemm_f32 = gemm_f32,
    .rms_norm = rms_norm,
    .silu_multiply = silu_multiply,
    .add = add,
    .rope = rope,
    .attention_scores = attention_scores,
    .attention_mix = attention_mix,
    .exp_sum = exp_sum,
    .max = maximum,
};
