/* The safetensors container: a length, a JSON header, and the tensors' bytes.
 *
 * safetensors_read() checks the whole header against the size of the file, then calls `visit`
 * once per tensor. The tensors must fill the data without gaps or overlaps, as the format
 * demands.
 */
#ifndef TANDEM_FORMATS_SAFETENSORS_H
#define TANDEM_FORMATS_SAFETENSORS_H

#include "base/error.h"
#include "formats/checkpoint.h"

#include <stddef.h>
#include <stdint.h>

/* `tensor` and its name live during the call; tensor->file is `name`. Returning another status
 * than STATUS_OK ends the reading with it. */
typedef enum status safetensors_visitor(void *context, const struct tensor *tensor,
                                        struct error *err);

/* data[0..size): the file; `name`: its path, for messages. Tensors of types other than F32, F16
 * and BF16 are left out when no model here uses a tensor of that name, and an error otherwise. */
enum status safetensors_read(const char *name, const uint8_t *data, size_t size,
                             safetensors_visitor *visit, void *context, struct error *err);

/* In place of a tensor's type, for bytes that only their companions give a meaning. */
enum { SAFETENSORS_U8 = TYPE_COUNT, SAFETENSORS_I8 };
/* The same, and hands over tensors of type U8 and I8 as well. */
enum status safetensors_read_bytes(const char *name, const uint8_t *data, size_t size,
                                   safetensors_visitor *visit, void *context, struct error *err);

#endif
