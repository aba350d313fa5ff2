/* What a request says its answer must be: by response_format, by tools, or by both. */
#include "base/memory.h"
#include "serve/api_request.h"
#include "serve/tool_calls.h"

#include <string.h>

/* An engine's error about the field, as a refusal of it. */
static bool refuse(const char *field, const struct error *err, struct api_error *error)
{
    if (err->status == STATUS_MEMORY)
        return api_refuse_error(error, field, err);
    return api_refuse(error, 400, "unsupported_value", field, "\"%s\": %s", field, err->message);
}

/* --- response_format --- */

static bool constrain_format(const struct api_request *r, struct constraint **constraint,
                             struct api_error *error)
{
    struct error err = {0};
    enum status status = r->regex
                             ? constraint_from_regex(r->regex, strlen(r->regex), constraint, &err)
                         : r->schema ? constraint_from_schema(r->schema, constraint, &err)
                                     : constraint_from_any_object(constraint, &err);
    return !status || refuse("response_format", &err, error);
}

/* --- Tools --- */

/* The functions that may be called; returns how many. */
static size_t list_functions(const struct api_request *r, struct constraint_function *functions)
{
    size_t i, n = 0;
    const json_t *tool;
    json_array_foreach(r->tools, i, tool)
    {
        const json_t *function = json_object_get(tool, "function");
        const char *name = json_string_value(json_object_get(function, "name"));
        if (r->tool_choice != TOOLS_NAMED || !strcmp(name, r->tool_name))
            functions[n++] = (struct constraint_function){
                .name = name,
                .parameters = json_object_get(function, "parameters"),
                .is_loose = json_is_false(json_object_get(function, "strict"))};
    }
    return n;
}

/* Calls could not be compiled together with a document: refuses the one that is to blame. */
static bool refuse_calls(const struct api_request *r, const struct error *err,
                         struct api_error *error)
{
    struct constraint *format = NULL;
    if (r->must_be_json && !constrain_format(r, &format, error))
        return false;
    constraint_release(format);
    return refuse("tools", err, error);
}

/* With "auto" a text with calls in it, or where a format is asked for, either calls or that. */
static bool constrain_calls(const struct api_request *r, struct constraint **constraint,
                            struct api_error *error)
{
    struct error err = {0};
    struct constraint_function *functions = mem_array(json_array_size(r->tools), sizeof *functions);
    json_t *any_object = json_pack("{s:s}", "type", "object");
    const json_t *format = r->schema ? r->schema : any_object;
    bool one_call = r->one_tool_call || r->tool_choice == TOOLS_NAMED;
    bool is_auto = r->tool_choice == TOOLS_AUTO, has_memory = functions && any_object;
    struct constraint_calls calls = {.functions = functions,
                                     .n_functions = has_memory ? list_functions(r, functions) : 0,
                                     .before = TOOL_CALL_BEGIN "\n",
                                     .after = "\n" TOOL_CALL_END,
                                     .between = "\n",
                                     .max_calls = one_call ? 1 : 0,
                                     .trigger =
                                         is_auto && !r->must_be_json ? TOOL_CALL_BEGIN : NULL,
                                     .document = is_auto && r->must_be_json ? format : NULL};
    enum status status = has_memory ? constraint_from_calls(&calls, constraint, &err)
                                    : error_memory(&err, "a constraint");
    json_decref(any_object);
    mem_free(functions);
    return !status || refuse_calls(r, &err, error);
}

bool api_request_constrain(const struct api_request *r, struct constraint **constraint,
                           struct api_error *error)
{
    *constraint = NULL;
    if (r->tools && r->tool_choice != TOOLS_NONE)
        return constrain_calls(r, constraint, error);
    return (!r->must_be_json && !r->regex) || constrain_format(r, constraint, error);
}
