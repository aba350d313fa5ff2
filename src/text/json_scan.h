/* Finds the two big members of tokenizer.json, "model"."vocab" and "model"."merges", without
 * building a tree of several hundred thousand nodes, and steps through them.
 *
 *     struct json_scan scan;
 *     json_scan_start(&scan, "vocab.json", text, length);
 *     json_scan_open(&scan, '{', &err);
 *     while (json_scan_more(&scan, '}', &more, &err), more) { json_scan_string(...); ... }
 */
#ifndef TANDEM_TEXT_JSON_SCAN_H
#define TANDEM_TEXT_JSON_SCAN_H

#include "base/error.h"
#include "base/strbuf.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json_scan {
    const char *name; /* for messages */
    const char *text;
    size_t length, at;
    bool first;           /* no member of the open object or array was read yet */
    struct strbuf string; /* what json_scan_string read last; strbuf_free */
};

void json_scan_start(struct json_scan *scan, const char *name, const char *text, size_t length);
/* Goes into an object ('{') or array ('['). */
enum status json_scan_open(struct json_scan *scan, char bracket, struct error *err);
/* *more: whether a member follows (its comma is read) or the closing bracket (which is read). */
enum status json_scan_more(struct json_scan *scan, char closing, bool *more, struct error *err);
/* Reads a string into scan->string. */
enum status json_scan_string(struct json_scan *scan, struct error *err);
/* Reads a string and the colon behind it. */
enum status json_scan_key(struct json_scan *scan, struct error *err);
enum status json_scan_integer(struct json_scan *scan, int64_t *value, struct error *err);
/* Steps over any value. It is not checked beyond its brackets and strings. */
enum status json_scan_skip(struct json_scan *scan, struct error *err);
/* The next character that is no white space; 0 at the end. */
char json_scan_peek(struct json_scan *scan);

#endif
