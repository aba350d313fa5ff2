/* {"type": "Replace"}: what normalizers and decoders share. */
#ifndef TANDEM_TEXT_REPLACE_H
#define TANDEM_TEXT_REPLACE_H

#include "base/error.h"
#include "base/json.h"
#include "base/strbuf.h"
#include "text/pattern.h"

/* {"String": "..."} or {"Regex": "..."}, or a bare string. */
enum status pattern_from_json(const json_t *json, struct pattern **pattern, struct error *err);

struct replacement {
    struct pattern *pattern;
    char *content;
    size_t content_length;
};
/* Reads "pattern" and "content". */
enum status replacement_from_json(const json_t *json, struct replacement *replacement,
                                  struct error *err);
void replacement_free(struct replacement *replacement);
/* Appends the text with every match replaced. */
enum status replacement_apply(const struct replacement *replacement, const char *text,
                              size_t length, struct strbuf *out, struct error *err);

#endif
