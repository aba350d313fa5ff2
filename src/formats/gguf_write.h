/* Writing GGUF version 3: metadata and tensor records first, then the tensors' bytes in order.
 *
 * The file appears under its name when it is complete: it is written beside it and renamed.
 * Failures of the adding functions stick and come out of gguf_writer_begin().
 *
 *     struct gguf_writer *w;
 *     gguf_writer_create("out.gguf", &w, &err);
 *     gguf_add_string(w, "general.architecture", "qwen2");
 *     gguf_add_tensor(w, "output.weight", TYPE_F16, 2, (size_t[]){rows, cols});
 *     gguf_writer_begin(w, &err);
 *     gguf_write_data(w, bytes, n, &err);   // as often as needed
 *     gguf_writer_finish(w, &err);
 *     gguf_writer_free(w);
 */
#ifndef TANDEM_FORMATS_GGUF_WRITE_H
#define TANDEM_FORMATS_GGUF_WRITE_H

#include "base/error.h"
#include "formats/gguf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct gguf_writer;

enum status gguf_writer_create(const char *path, struct gguf_writer **writer, struct error *err);

void gguf_add_u32(struct gguf_writer *w, const char *key, size_t value);
void gguf_add_f32(struct gguf_writer *w, const char *key, double value);
void gguf_add_bool(struct gguf_writer *w, const char *key, bool value);
void gguf_add_string(struct gguf_writer *w, const char *key, const char *value);
void gguf_add_span(struct gguf_writer *w, const char *key, struct text_span value);
void gguf_add_strings(struct gguf_writer *w, const char *key, const struct text_span *values,
                      size_t n);
/* An array of scalars as they lie in memory. */
void gguf_add_array(struct gguf_writer *w, const char *key, enum gguf_type element,
                    const void *values, size_t n);
/* A copy of what another file has. */
void gguf_add_entry(struct gguf_writer *w, const struct gguf_entry *entry);
/* `shape` outermost first. */
void gguf_add_tensor(struct gguf_writer *w, const char *name, enum tensor_type type, size_t n_dims,
                     const size_t *shape);

/* Writes all that was added. */
enum status gguf_writer_begin(struct gguf_writer *w, struct error *err);
/* The next bytes of the tensors, in the order in which they were added; padding is inserted. */
enum status gguf_write_data(struct gguf_writer *w, const void *data, size_t size,
                            struct error *err);
/* Puts the file in its place; an error if data are missing. */
enum status gguf_writer_finish(struct gguf_writer *w, struct error *err);
/* Removes what was not finished. NULL is fine. */
void gguf_writer_free(struct gguf_writer *w);

#endif
