/* JSON objects read by a table of their fields: types, ranges, and unknown names refused. */
#ifndef TANDEM_SERVE_API_FIELDS_H
#define TANDEM_SERVE_API_FIELDS_H

#include "base/json.h"
#include "serve/api_error.h"

#include <stddef.h>

enum field_type {
    FIELD_BOOL,    /* bool */
    FIELD_INTEGER, /* int64_t in [least, most] */
    FIELD_NUMBER,  /* double in [least, most] */
    FIELD_STRING,  /* const char *: lives as long as the document; no NUL inside */
    FIELD_OBJECT,  /* const json_t *: lives as long as the document */
    FIELD_CUSTOM,  /* read() */
    FIELD_IGNORED, /* known, harmless, without effect */
};

struct field {
    const char *name;
    enum field_type type;
    size_t offset;  /* of the target in the structure */
    unsigned kinds; /* bits of the kinds that have the field; 0: all */
    double least, most;
    bool (*read)(void *target, const char *name, const json_t *value, struct api_error *error);
};

/* Reads every field of `object` into `target`; null counts as absent. `where` (NULL: the request
 * itself) is what messages put before names. The table ends with a zero entry. */
bool fields_read(const struct field *table, unsigned kind, const json_t *object, const char *where,
                 void *target, struct api_error *error);
/* One value; `name` is what messages call it. */
bool field_read(const struct field *field, const char *name, const json_t *value, void *target,
                struct api_error *error);
/* "<name>" must be <expected>; returns false. */
bool field_wrong_type(const char *name, const char *expected, struct api_error *error);

/* Whether the value is a list of chat messages (api_messages.c). */
bool api_check_messages(const char *name, const json_t *value, struct api_error *error);

#endif
