#include "serve/api_fields.h"

#include <stdio.h>
#include <string.h>

bool field_wrong_type(const char *name, const char *expected, struct api_error *error)
{
    return api_refuse(error, 400, "invalid_type", name, "\"%s\" must be %s", name, expected);
}

static bool check_range(const struct field *f, const char *name, double value,
                        struct api_error *error)
{
    if (value >= f->least && value <= f->most)
        return true;
    return api_refuse(error, 400, "invalid_value", name,
                      "\"%s\" is %.16g; it must be from %.16g to %.16g", name, value, f->least,
                      f->most);
}

bool field_read(const struct field *f, const char *name, const json_t *value, void *target,
                struct api_error *error)
{
    void *place = (char *)target + f->offset;
    switch (f->type) {
    case FIELD_BOOL:
        if (!json_is_boolean(value))
            return field_wrong_type(name, "true or false", error);
        *(bool *)place = json_is_true(value);
        return true;
    case FIELD_INTEGER:
        if (!json_is_integer(value))
            return field_wrong_type(name, "an integer", error);
        *(int64_t *)place = json_integer_value(value);
        return check_range(f, name, (double)json_integer_value(value), error);
    case FIELD_NUMBER:
        if (!json_is_number(value))
            return field_wrong_type(name, "a number", error);
        *(double *)place = json_number_value(value);
        return check_range(f, name, json_number_value(value), error);
    case FIELD_STRING:
        if (!json_is_string(value) || strlen(json_string_value(value)) != json_string_length(value))
            return field_wrong_type(name, "a string without NUL characters", error);
        *(const char **)place = json_string_value(value);
        return true;
    case FIELD_OBJECT:
        if (!json_is_object(value))
            return field_wrong_type(name, "an object", error);
        *(const json_t **)place = value;
        return true;
    case FIELD_CUSTOM:
        return f->read(target, name, value, error);
    case FIELD_IGNORED:
        return true;
    }
    return true;
}

static const struct field *find(const struct field *table, unsigned kind, const char *name)
{
    for (const struct field *f = table; f->name; f++)
        if (!strcmp(f->name, name) && (!f->kinds || f->kinds & kind))
            return f;
    return NULL;
}

bool fields_read(const struct field *table, unsigned kind, const json_t *object, const char *where,
                 void *target, struct api_error *error)
{
    const char *key;
    json_t *value;
    if (!json_is_object(object))
        return field_wrong_type(where ? where : "request", "an object", error);
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        char name[96];
        const struct field *f = find(table, kind, key);
        snprintf(name, sizeof name, "%s%s%s", where ? where : "", where ? "." : "", key);
        if (!f)
            return api_refuse(error, 400, "unknown_parameter", name,
                              "unknown field \"%s\": this server does not know it here, and "
                              "ignores nothing silently",
                              name);
        if (!json_is_null(value) && !field_read(f, name, value, target, error))
            return false;
    }
    return true;
}
