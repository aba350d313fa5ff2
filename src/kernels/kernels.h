/* One table of kernels per instruction set, filled once; and which one is in use.
 *
 * Scalar is the oracle: every other table must agree with it on ragged shapes (tests do check).
 * Results never depend on how rows are grouped into calls or on the number of threads: a dot
 * product sums in an order fixed by its length and the instruction set alone.
 *
 * Pointers to stored tensors may be unaligned (safetensors promises nothing): load with memcpy or
 * unaligned vector loads. float buffers of activations are 64-byte aligned, their rows need not be.
 */
#ifndef TANDEM_KERNELS_KERNELS_H
#define TANDEM_KERNELS_KERNELS_H

#include "base/error.h"
#include "kernels/attention.h"
#include "kernels/tensor_type.h"

#include <stddef.h>
#include <stdint.h>

struct kernels {
    const char *name; /* "scalar", "avx2", "avx512", "amx", "neon" */

    /* dst[0..n) = the n elements stored at src; n is a whole number of blocks. */
    void (*dequantize[TYPE_COUNT])(const void *src, float *dst, size_t n);
    /* dst = src in that type, n a whole number of blocks: F32, F16 and BF16 round to nearest even,
     * Q4_0, Q4_1, Q5_0, Q5_1 and Q8_0 as GGUF's reference does; NULL for K-quants (fit_row). */
    void (*quantize[TYPE_COUNT])(const float *src, void *dst, size_t n);
    /* dst = the n elements of src in a type that convert_weighs() (convert.h), a whole number of
     * blocks, the scales fitted so that the weighted squared error gets small. importance: how much
     * an error at each input matters, [n], all >= 0; NULL: judged by the weights themselves. The
     * same bytes from every table. */
    void (*fit_row)(enum tensor_type type, const float *src, const float *importance, void *dst,
                    size_t n);

    /* y[r * y_stride + o] += sum_k x[r * x_stride + k] * w[o * w_stride + k]
     * for r < n_rows, o < n_outputs, k < n. Any sizes; the order of each sum depends on n alone. */
    void (*gemm_f32)(const float *x, size_t x_stride, size_t n_rows, const float *w,
                     size_t w_stride, size_t n_outputs, size_t n, float *y, size_t y_stride);

    /* y[o] += sum_k x[k] * stored row o [k], o < n_outputs; rows lie row_bytes apart and hold n
     * elements. The same bits as dequantize and gemm_f32 give, but a weight is read once and never
     * written out: for a single row of activations. NULL: there is none. */
    void (*dot[TYPE_COUNT])(const void *w, size_t row_bytes, size_t n_outputs, const float *x,
                            size_t n, float *y);

    /* y = x / sqrt(mean(x^2) + eps) * weight, n elements. */
    void (*rms_norm)(const float *x, const float *weight, float *y, size_t n, float eps);
    /* gate = silu(gate) * up, n elements; silu(x) = x / (1 + exp(-x)). */
    void (*silu_multiply)(float *gate, const float *up, size_t n);
    /* y += x, n elements. */
    void (*add)(float *y, const float *x, size_t n);
    /* Rotates pairs (x[i], x[i + half]) by the angle whose cosine and sine are given:
     * transformers' rotate_half convention. half = rotary_dim / 2. */
    void (*rope)(float *x, const float *cosine, const float *sine, size_t half);

    /* For a cache of that type; NULL where there can be none. */
    const struct attention_kernels *attention[TYPE_COUNT];
};

/* The best table for this CPU, or the one that `name` ("scalar", "avx2", "avx512", "amx",
 * "neon") or, where that is NULL, the environment's TANDEM_ISA asks for; an error names the ones
 * there are. */
enum status kernels_select(const char *name, const struct kernels **kernels, struct error *err);
/* Names of the tables that this CPU can run, best first; NULL-terminated. */
const char *const *kernels_available(void);

#endif
