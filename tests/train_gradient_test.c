/* Every backward pass against finite differences in float64.
 *
 * The sources of the operations, of the products and of the network are compiled for this program
 * with TANDEM_DENSE_DOUBLE, so it is the trainer's own code that is checked, not a copy. */
#include "base/memory.h"
#include "base/rng.h"
#include "train/network.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

enum { MAX_SAMPLES = 60 };
static const double step = 1e-5, tolerance = 2e-7;

static struct gemm gemm;

static int set_up(void **state)
{
    (void)state;
    const struct dense_kernels *kernels = dense_select(NULL);
    return gemm_create(kernels, &kernels->product, NULL, &gemm, NULL) ? -1 : 0;
}

static int tear_down(void **state)
{
    (void)state;
    gemm_free(&gemm);
    return 0;
}

static real *random_values(size_t n, uint64_t seed)
{
    struct rng rng;
    rng_seed(&rng, seed);
    real *x = mem_aligned(64, n, sizeof *x);
    assert_non_null(x);
    for (size_t i = 0; i < n; i++)
        x[i] = rng_normal(&rng);
    return x;
}

static real *zeros(size_t n)
{
    real *x = mem_aligned(64, n, sizeof *x);
    assert_non_null(x);
    return x;
}

/* A scalar function of everything in `context`. */
typedef double loss_function(void *context);

/* Moves single elements of x[0..n) and compares the loss's slope with gradient[0..n). */
static void check_gradient(const char *what, loss_function *loss, void *context, real *x,
                           const real *gradient, size_t n)
{
    size_t stride = n > MAX_SAMPLES ? n / MAX_SAMPLES : 1;
    double largest = 0;
    for (size_t i = 0; i < n; i++)
        largest = fmax(largest, fabs(gradient[i]));
    if (!(largest > 0))
        fail_msg("%s: the gradient is %g", what, largest);
    for (size_t i = 0; i < n; i += stride) {
        real saved = x[i];
        x[i] = saved + step;
        double above = loss(context);
        x[i] = saved - step;
        double below = loss(context);
        x[i] = saved;
        double slope = (above - below) / (2 * step);
        if (fabs(slope - gradient[i]) > tolerance * (1 + largest + fabs(slope)))
            fail_msg("%s: element %zu of %zu: gradient %.12g, finite difference %.12g", what, i, n,
                     gradient[i], slope);
    }
}

static double weighted_sum(const real *y, const real *weights, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += y[i] * weights[i];
    return sum;
}

/* One operation's buffers; each test uses what it needs. */
struct fixture {
    size_t rows, n;
    real *x, *weight, *inverse, *y, *cotangent;
    struct ops_angles angles;
    struct attention attention;
    struct linear linear;
    struct linear_space space;
    const int32_t *tokens;
    double nll[16];
};

static double norm_loss(void *context)
{
    struct fixture *f = context;
    ops_rms_norm(&gemm, f->x, f->weight, f->rows, f->n, 1e-5, f->inverse, f->y);
    return weighted_sum(f->y, f->cotangent, f->rows * f->n);
}

static void test_rms_norm(void **state)
{
    (void)state;
    struct fixture f = {.rows = 5, .n = 37};
    size_t n = f.rows * f.n;
    f.x = random_values(n, 1);
    f.weight = random_values(f.n, 2);
    f.cotangent = random_values(n, 3);
    f.y = zeros(n);
    f.inverse = zeros(f.rows);
    real *dx = zeros(n), *dweight = zeros(f.n);
    norm_loss(&f);
    ops_rms_norm_backward(&gemm, f.x, f.weight, f.inverse, f.cotangent, f.rows, f.n, dx, dweight);
    check_gradient("rms_norm x", norm_loss, &f, f.x, dx, n);
    check_gradient("rms_norm weight", norm_loss, &f, f.weight, dweight, f.n);
    real *all[] = {f.x, f.weight, f.cotangent, f.y, f.inverse, dx, dweight};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
}

static double swiglu_loss(void *context)
{
    struct fixture *f = context;
    ops_swiglu(&gemm, f->x, f->rows, f->n, f->y);
    return weighted_sum(f->y, f->cotangent, f->rows * f->n);
}

static void test_swiglu(void **state)
{
    (void)state;
    struct fixture f = {.rows = 4, .n = 19};
    f.x = random_values(2 * f.rows * f.n, 4);
    f.cotangent = random_values(f.rows * f.n, 5);
    f.y = zeros(f.rows * f.n);
    real *dx = zeros(2 * f.rows * f.n);
    ops_swiglu_backward(&gemm, f.x, f.cotangent, f.rows, f.n, dx);
    check_gradient("swiglu", swiglu_loss, &f, f.x, dx, 2 * f.rows * f.n);
    real *all[] = {f.x, f.cotangent, f.y, dx};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
}

enum { ROPE_HEADS = 3, ROPE_DIM = 10, ROPE_HALF = 4 }; /* partly rotated heads */

static double rope_loss(void *context)
{
    struct fixture *f = context;
    size_t n = f->rows * f->n;
    memcpy(f->y, f->x, n * sizeof *f->x);
    ops_rope(&gemm, &f->angles, f->y, f->rows, f->n, ROPE_HEADS, ROPE_DIM);
    return weighted_sum(f->y, f->cotangent, n);
}

static void test_rope(void **state)
{
    (void)state;
    struct fixture f = {.rows = 6, .n = ROPE_HEADS * ROPE_DIM + 5};
    size_t n = f.rows * f.n;
    const real *cosine[6], *sine[6];
    real *angles = random_values(2 * f.rows * ROPE_HALF, 6);
    for (size_t i = 0; i < f.rows; i++) {
        cosine[i] = angles + 2 * i * ROPE_HALF;
        sine[i] = cosine[i] + ROPE_HALF;
    }
    f.angles = (struct ops_angles){cosine, sine, ROPE_HALF};
    f.x = random_values(n, 7);
    f.cotangent = random_values(n, 8);
    f.y = zeros(n);
    real *dx = mem_copy(f.cotangent, n * sizeof *dx);
    ops_rope_backward(&gemm, &f.angles, dx, f.rows, f.n, ROPE_HEADS, ROPE_DIM);
    check_gradient("rope", rope_loss, &f, f.x, dx, n);
    real *all[] = {f.x, f.cotangent, f.y, dx, angles};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
}

static double attention_loss(void *context)
{
    struct fixture *f = context;
    attention_forward(&gemm, &f->attention, f->x, f->y);
    return weighted_sum(f->y, f->cotangent, f->rows * f->n);
}

static void check_attention(const char *what, size_t n_heads, size_t n_kv_heads, size_t window)
{
    static const size_t starts[] = {0, 3, 150, 157};
    struct fixture f = {.rows = 157, .n = n_heads * 6};
    size_t n = f.rows * (n_heads + 2 * n_kv_heads) * 6;
    f.x = random_values(n, 9);
    f.cotangent = random_values(f.rows * f.n, 10);
    f.y = zeros(f.rows * f.n);
    f.attention = (struct attention){.n_heads = n_heads,
                                     .n_kv_heads = n_kv_heads,
                                     .head_dim = 6,
                                     .window = window,
                                     .n_examples = 3,
                                     .starts = starts};
    f.attention.scratch = zeros(attention_scratch(147, 1));
    real *dx = random_values(n, 11); /* must be overwritten */
    attention_backward(&gemm, &f.attention, f.x, f.cotangent, dx);
    check_gradient(what, attention_loss, &f, f.x, dx, n);
    real *all[] = {f.x, f.cotangent, f.y, dx, f.attention.scratch};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
}

static void test_attention(void **state)
{
    (void)state;
    check_attention("attention", 2, 2, 0);
    check_attention("grouped attention", 4, 2, 0);
    check_attention("attention in a window", 4, 1, 5);
}

static double linear_loss(void *context)
{
    struct fixture *f = context;
    linear_forward(&f->space, &f->linear, f->x, f->rows, f->y);
    return weighted_sum(f->y, f->cotangent, f->rows * f->linear.out);
}

static void test_linear(void **state)
{
    (void)state;
    enum { IN = 13, OUT = 21, ROWS = 7 };
    struct fixture f = {.rows = ROWS, .space = {.gemm = &gemm}};
    real *weight = random_values(IN * OUT, 12), *bias = random_values(OUT, 13);
    real *dweight = zeros(IN * OUT), *dbias = zeros(OUT), *dx = zeros(ROWS * IN);
    f.linear = (struct linear){
        .in = IN, .out = OUT, .weight = weight, .bias = bias, .dweight = dweight, .dbias = dbias};
    f.x = random_values(ROWS * IN, 14);
    f.cotangent = random_values(ROWS * OUT, 15);
    f.y = zeros(ROWS * OUT);
    linear_backward(&f.space, &f.linear, f.x, f.cotangent, ROWS, dx);
    check_gradient("linear x", linear_loss, &f, f.x, dx, ROWS * IN);
    check_gradient("linear weight", linear_loss, &f, weight, dweight, IN * OUT);
    check_gradient("linear bias", linear_loss, &f, bias, dbias, OUT);
    real *all[] = {weight, bias, dweight, dbias, dx, f.x, f.cotangent, f.y};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
}

static struct matrix stored_matrix(float *values, size_t rows, size_t cols, uint64_t seed)
{
    struct rng rng;
    rng_seed(&rng, seed);
    for (size_t i = 0; i < rows * cols; i++)
        values[i] = (float)(rng_normal(&rng) * 0.3);
    return (struct matrix){TYPE_F32, rows, cols, cols * sizeof(float), values};
}

static void test_adapters_on_a_stored_weight(void **state)
{
    (void)state;
    enum { IN = 13, OUT = 21, FIRST = 9, ROWS = 7, RANK = 3 };
    struct fixture f = {.rows = ROWS};
    float stored[IN * OUT], row[IN];
    const struct kernels *kernels;
    assert_int_equal(kernels_select("scalar", &kernels, NULL), STATUS_OK);
    real *a = random_values(RANK * IN, 16), *b = random_values(OUT * RANK, 17);
    real *da = zeros(RANK * IN), *db = zeros(OUT * RANK), *dx = zeros(ROWS * IN);
    real *low = zeros(ROWS * RANK), *dlow = zeros(ROWS * RANK), *band = zeros(LINEAR_BAND * IN);
    f.space = (struct linear_space){&gemm, kernels, band, row, low, dlow};
    f.linear = (struct linear){.in = IN, .out = OUT, .n_stored = 2, .n_adapters = 1};
    f.linear.stored[0] = stored_matrix(stored, FIRST, IN, 18);
    f.linear.stored[1] = stored_matrix(stored + FIRST * IN, OUT - FIRST, IN, 19);
    f.linear.adapters[0] = (struct adapter){FIRST, OUT - FIRST, RANK, a, b, da, db, 0.7};
    f.x = random_values(ROWS * IN, 20);
    f.cotangent = random_values(ROWS * OUT, 21);
    f.y = zeros(ROWS * OUT);
    linear_backward(&f.space, &f.linear, f.x, f.cotangent, ROWS, dx);
    check_gradient("LoRA x", linear_loss, &f, f.x, dx, ROWS * IN);
    check_gradient("LoRA A", linear_loss, &f, a, da, RANK * IN);
    check_gradient("LoRA B", linear_loss, &f, b, db, (OUT - FIRST) * RANK);
    real *all[] = {a, b, da, db, dx, low, dlow, band, f.x, f.cotangent, f.y};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        mem_free(all[i]);
}

static double cross_entropy_loss(void *context)
{
    struct fixture *f = context;
    double sum = 0;
    memcpy(f->y, f->x, f->rows * f->n * sizeof *f->x);
    ops_cross_entropy(&gemm, f->tokens, f->rows, f->n, 0, f->y, f->nll);
    for (size_t i = 0; i < f->rows; i++)
        sum += f->nll[i];
    return 0.25 * sum;
}

static void test_cross_entropy(void **state)
{
    (void)state;
    static const int32_t targets[] = {0, 22, 7};
    struct fixture f = {.rows = 3, .n = 23, .tokens = targets};
    size_t n = f.rows * f.n;
    f.x = random_values(n, 22);
    f.y = zeros(n);
    real *dx = mem_copy(f.x, n * sizeof *dx);
    ops_cross_entropy(&gemm, targets, f.rows, f.n, 0.25, dx, f.nll);
    check_gradient("cross entropy", cross_entropy_loss, &f, f.x, dx, n);
    mem_free(f.x);
    mem_free(f.y);
    mem_free(dx);
}

static double embedding_loss(void *context)
{
    struct fixture *f = context;
    double sum = 0;
    for (size_t i = 0; i < f->rows; i++)
        sum += weighted_sum(f->weight + (size_t)f->tokens[i] * f->n, f->cotangent + i * f->n, f->n);
    return sum;
}

static void test_embedding(void **state)
{
    (void)state;
    static const int32_t tokens[] = {3, 0, 3, 4, 3};
    struct fixture f = {.rows = 5, .n = 11, .tokens = tokens};
    f.weight = random_values(5 * f.n, 23);
    f.cotangent = random_values(f.rows * f.n, 24);
    real *dweight = zeros(5 * f.n);
    ops_embedding_backward(&gemm, tokens, f.cotangent, f.rows, f.n, dweight);
    check_gradient("embedding", embedding_loss, &f, f.weight, dweight, 5 * f.n);
    mem_free(f.weight);
    mem_free(f.cotangent);
    mem_free(dweight);
}

/* --- Whole networks --- */

struct whole {
    struct network *network;
    struct batch batch;
};
static const double loss_factor = 0.125;

static double whole_loss(void *context)
{
    struct whole *w = context;
    return loss_factor * network_evaluate(w->network, &w->batch);
}

static struct hyperparameters small_shape(enum family family)
{
    return (struct hyperparameters){.family = family,
                                    .dim = 12,
                                    .ffn_dim = 20,
                                    .n_layers = 2,
                                    .n_heads = 4,
                                    .n_kv_heads = 2,
                                    .head_dim = 4,
                                    .vocab_size = 29,
                                    .context_length = 64,
                                    .rms_norm_eps = 1e-6,
                                    .rope = {.theta = 1e4, .rotary_dim = 4}};
}

static struct batch small_batch(void)
{
    static const size_t starts[] = {0, 9, 14};
    static const int32_t tokens[] = {1, 5, 28, 3, 3, 7, 20, 11, 2, 8, 5, 5, 0, 19};
    static const int32_t targets[] = {-1, -1, 3, 3, 7, -1, 11, 2, 4, -1, 5, 0, 19, 27};
    return (struct batch){14, 2, tokens, targets, starts};
}

static void check_parameters(const char *what, struct whole *w)
{
    struct parameters *p = network_parameters(w->network);
    network_train(w->network, &w->batch, loss_factor);
    for (size_t i = 0; i < p->count; i++) {
        char name[200];
        const struct parameter *t = &p->table[i];
        snprintf(name, sizeof name, "%s: %s", what, t->name);
        check_gradient(name, whole_loss, w, p->values + t->offset, p->gradients + t->offset,
                       t->count);
    }
}

static void check_network(const char *what, const struct hyperparameters *shape)
{
    struct whole w = {.batch = small_batch()};
    struct network_options options = {.shape = shape, .max_rows = 16};
    assert_int_equal(network_create(&options, &w.network, NULL), STATUS_OK);
    network_initialise(w.network, 7);
    struct parameters *p = network_parameters(w.network);
    for (size_t i = 0; i < p->total; i++) /* away from zero biases and small weights */
        p->values[i] += 0.2 * sin((double)i);
    check_parameters(what, &w);
    network_free(w.network);
}

static void test_networks(void **state)
{
    (void)state;
    struct hyperparameters qwen = small_shape(FAMILY_QWEN2), phi = small_shape(FAMILY_PHI3);
    qwen.tied_embeddings = true;
    check_network("qwen2, tied", &qwen);
    qwen.tied_embeddings = false;
    qwen.rope = (struct rope_parameters){.kind = ROPE_YARN,
                                         .theta = 1e6,
                                         .rotary_dim = 4,
                                         .factor = 4,
                                         .original_context = 16,
                                         .beta_fast = 32,
                                         .beta_slow = 1};
    check_network("qwen2, yarn", &qwen);
    qwen.rope.kind = ROPE_LINEAR;
    qwen.sliding_window = 4;
    qwen.first_window_layer = 1;
    check_network("qwen2, linear, window in the second layer", &qwen);
    phi.sliding_window = 3;
    check_network("phi3, window", &phi);
    phi.rope = (struct rope_parameters){.kind = ROPE_LONGROPE,
                                        .theta = 1e4,
                                        .rotary_dim = 2,
                                        .factor = 4,
                                        .original_context = 6,
                                        .short_factor = {1.5},
                                        .long_factor = {3}};
    check_network("phi3, longrope, partial rotary", &phi);
}

/* Hands out stored matrices one behind the other, each with a seed of its own. */
struct taker {
    float *next;
    uint64_t seed;
};

static struct matrix take(struct taker *t, size_t rows, size_t cols)
{
    struct matrix m = stored_matrix(t->next, rows, cols, t->seed++);
    t->next += rows * cols;
    return m;
}

/* A random frozen base; `values` holds everything. */
static void make_base(const struct hyperparameters *s, float *values, struct layer_weights *layers,
                      struct weights *base)
{
    size_t q = s->n_heads * s->head_dim, kv = s->n_kv_heads * s->head_dim;
    struct taker taker = {values, 100};
    for (size_t i = 0; i < s->n_layers; i++) {
        layers[i] = (struct layer_weights){.attention_norm = take(&taker, 1, s->dim).data,
                                           .q = take(&taker, q, s->dim),
                                           .k = take(&taker, kv, s->dim),
                                           .v = take(&taker, kv, s->dim),
                                           .o = take(&taker, s->dim, q),
                                           .ffn_norm = take(&taker, 1, s->dim).data,
                                           .gate = take(&taker, s->ffn_dim, s->dim),
                                           .up = take(&taker, s->ffn_dim, s->dim),
                                           .down = take(&taker, s->dim, s->ffn_dim),
                                           .q_bias = take(&taker, 1, q).data,
                                           .k_bias = take(&taker, 1, kv).data,
                                           .v_bias = take(&taker, 1, kv).data};
    }
    *base = (struct weights){.embedding = take(&taker, s->vocab_size, s->dim),
                             .head = take(&taker, s->vocab_size, s->dim),
                             .final_norm = take(&taker, 1, s->dim).data,
                             .layers = layers};
}

static void test_adapters_in_a_network(void **state)
{
    (void)state;
    static float values[8192];
    struct hyperparameters shapes[] = {small_shape(FAMILY_QWEN2), small_shape(FAMILY_PHI3)};
    const struct kernels *kernels;
    assert_int_equal(kernels_select("scalar", &kernels, NULL), STATUS_OK);
    for (size_t i = 0; i < 2; i++) {
        struct layer_weights layers[2];
        struct weights base;
        make_base(&shapes[i], values, layers, &base);
        struct lora_options lora = {2, 6, lora_all_targets(shapes[i].family)};
        struct network_options options = {
            .shape = &shapes[i], .max_rows = 16, .lora = &lora, .base = &base, .kernels = kernels};
        struct whole w = {.batch = small_batch()};
        assert_int_equal(network_create(&options, &w.network, NULL), STATUS_OK);
        network_initialise(w.network, 7);
        struct parameters *p = network_parameters(w.network);
        for (size_t j = 0; j < p->total; j++)
            p->values[j] += 0.2 * sin((double)j); /* B is not zero */
        check_parameters(i ? "phi3, LoRA" : "qwen2, LoRA", &w);
        network_free(w.network);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rms_norm),      cmocka_unit_test(test_swiglu),
        cmocka_unit_test(test_rope),          cmocka_unit_test(test_attention),
        cmocka_unit_test(test_linear),        cmocka_unit_test(test_adapters_on_a_stored_weight),
        cmocka_unit_test(test_cross_entropy), cmocka_unit_test(test_embedding),
        cmocka_unit_test(test_networks),      cmocka_unit_test(test_adapters_in_a_network),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
