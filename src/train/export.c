#include "train/export.h"
#include "base/file.h"
#include "base/json.h"
#include "formats/hf_folder.h"

#include <string.h>

static enum status export_config(const char *model, enum tensor_type type, const char *out,
                                 struct error *err)
{
    json_t *config = hf_read_config(model, err);
    if (!config)
        return err->status;
    /* transformers 4 reads torch_dtype, later ones dtype; the original's spelling stays. */
    const char *key = json_object_get(config, "dtype") ? "dtype" : "torch_dtype";
    json_object_set_new(config, key, json_string(type == TYPE_F32 ? "float32" : "bfloat16"));
    json_object_del(config, "quantization_config"); /* what is written is not quantized */
    enum status status = hf_write_json(out, "config.json", config, err);
    json_decref(config);
    return status;
}

enum status export_documents(const char *model, enum tensor_type type, const char *out,
                             struct error *err)
{
    enum status status = file_make_directory(out, err);
    if (!status)
        status = export_config(model, type, out, err);
    if (!status)
        status = hf_copy_documents(model, out, err);
    return status;
}

static enum status give_rows(void *context, size_t index, size_t first, size_t n, void *values,
                             struct error *err)
{
    const struct parameters *p = context;
    float *out = values;
    const struct parameter *t = &p->table[index];
    size_t row = t->n_dims == 2 ? t->shape[1] : 1;
    (void)err;
    for (size_t i = 0; i < n * row; i++)
        out[i] = (float)p->values[t->offset + first * row + i];
    return STATUS_OK;
}

static enum status write_parameters(const struct parameters *p, enum tensor_type type,
                                    const char *folder, const char *name, struct error *err)
{
    char *path = file_join(folder, name);
    struct tensor_plan *plans = mem_array(p->count, sizeof *plans);
    json_t *metadata = json_pack("{s:s}", "format", "pt");
    enum status status = path && plans && metadata ? STATUS_OK : error_memory(err, name);
    for (size_t i = 0; i < p->count && !status; i++) {
        const struct parameter *t = &p->table[i];
        plans[i] = (struct tensor_plan){t->name, type, t->n_dims, {t->shape[0], t->shape[1]}};
    }
    if (!status)
        status = safetensors_write(path, plans, p->count, metadata, give_rows, (void *)(uintptr_t)p,
                                   err);
    json_decref(metadata);
    mem_free(plans);
    mem_free(path);
    return status;
}

enum status export_model(const struct parameters *parameters, enum tensor_type type,
                         const char *model, const char *out, struct error *err)
{
    enum status status = export_documents(model, type, out, err);
    return status ? status : write_parameters(parameters, type, out, "model.safetensors", err);
}

static json_t *adapter_config(const struct lora_options *lora, enum family family, const char *base)
{
    json_t *targets = json_array();
    for (const char *const *name = lora_target_names(family); *name; name++)
        if (lora->targets & lora_target_parse(family, *name, strlen(*name)))
            json_array_append_new(targets, json_string(*name));
    return json_pack("{s:s, s:s, s:s, s:I, s:f, s:f, s:o, s:s, s:b, s:b, s:b, s:{}, s:{}, s:n,"
                     " s:n, s:n, s:b, s:b, s:n}",
                     "peft_type", "LORA", "task_type", "CAUSAL_LM", "base_model_name_or_path", base,
                     "r", (json_int_t)lora->rank, "lora_alpha", lora->alpha, "lora_dropout", 0.0,
                     "target_modules", targets, "bias", "none", "fan_in_fan_out", 0,
                     "inference_mode", 1, "init_lora_weights", 1, "rank_pattern", "alpha_pattern",
                     "modules_to_save", "layers_to_transform", "layers_pattern", "use_rslora", 0,
                     "use_dora", 0, "revision");
}

enum status export_adapter(const struct parameters *parameters, const struct lora_options *lora,
                           enum family family, const char *base, const char *out, struct error *err)
{
    json_t *config = adapter_config(lora, family, base);
    enum status status = file_make_directory(out, err);
    if (!status)
        status = config ? hf_write_json(out, "adapter_config.json", config, err)
                        : error_memory(err, "adapter_config.json");
    json_decref(config);
    return status ? status
                  : write_parameters(parameters, TYPE_F32, out, "adapter_model.safetensors", err);
}
