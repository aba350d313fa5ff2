/* Checkpoints: what is read from good files, and what is said of bad ones. */
#include "base/file.h"
#include "base/memory.h"
#include "formats/checkpoint.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* "../shared/NAME"; skips the test when that folder is not there. */
static const char *shared_path(const char *name)
{
    static char path[1000];
    const char *shared = getenv("TANDEM_SHARED");
    if (!shared || !file_is_directory(shared)) {
        print_message("skipped: there is no folder of shared data (TANDEM_SHARED)\n");
        skip();
    }
    snprintf(path, sizeof path, "%s/%s", shared, name);
    return path;
}

static struct checkpoint *open_shared(const char *name)
{
    struct checkpoint *cp;
    struct error err = {0};
    if (checkpoint_open(shared_path(name), &cp, &err))
        fail_msg("%s", err.message);
    return cp;
}

static void test_single_file(void **state)
{
    (void)state;
    struct checkpoint *cp = open_shared("golden/qwen2-tied-f32");
    const struct hyperparameters *h = checkpoint_hyperparameters(cp);
    assert_int_equal(checkpoint_format(cp), CHECKPOINT_SAFETENSORS);
    assert_string_equal(checkpoint_name(cp), "qwen2-tied-f32");
    assert_int_equal(checkpoint_tensor_count(cp), 26);
    assert_int_equal(h->family, FAMILY_QWEN2);
    assert_int_equal(h->dim, 96);
    assert_int_equal(h->head_dim, 16);
    assert_int_equal(h->n_kv_heads, 1);
    assert_true(h->tied_embeddings);
    assert_true(h->rms_norm_eps == 1e-6);
    const struct tensor *t = checkpoint_tensor(cp, "model.layers.1.mlp.down_proj.weight");
    assert_non_null(t);
    assert_int_equal(t->type, TYPE_F32);
    assert_int_equal(t->n_dims, 2);
    assert_int_equal(t->shape[0], 96);
    assert_int_equal(t->shape[1], 256);
    assert_int_equal(t->offset, 2616 + 8 + 764800);
    assert_null(checkpoint_tensor(cp, "lm_head.weight"));
    assert_int_equal(checkpoint_generation(cp)->eos_ids[0], 1);
    checkpoint_close(cp);
}

static void test_sharded(void **state)
{
    (void)state;
    struct checkpoint *cp = open_shared("golden/qwen2-gqa-bf16-sharded");
    size_t bytes;
    assert_int_equal(checkpoint_file_count(cp), 2);
    assert_string_equal(file_base_name(checkpoint_file(cp, 1, &bytes)),
                        "model-00002-of-00002.safetensors");
    assert_int_equal(bytes, 143744);
    assert_int_equal(checkpoint_tensor_count(cp), 39);
    assert_string_equal(file_base_name(checkpoint_tensor(cp, "model.norm.weight")->file),
                        "model-00002-of-00002.safetensors");
    checkpoint_close(cp);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_single_file),
        cmocka_unit_test(test_sharded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
