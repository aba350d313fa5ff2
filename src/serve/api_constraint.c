/* What a chat request says its answer must be: response_format, and tool_choice where it asks for
 * a call. */
#include "base/memory.h"
#include "serve/api_request.h"
#include "serve/tool_calls.h"

#include <string.h>

/* An engine's error about the field, as a refusal of it. */
static bool refuse(const char *field, const struct error *err, struct api_error *error)
{
    if (err->status == STATUS_MEMORY)
        return api_refuse_error(error, err);
    return api_refuse(error, 400, "unsupported_value", field, "\"%s\": %s", field, err->message);
}

/* --- response_format --- */

static bool constrain_format(const struct api_request *r, struct constraint **constraint,
                             struct api_error *error)
{
    struct error err = {0};
    if (r->tools && r->tool_choice != TOOLS_NONE)
        return api_refuse(error, 400, "unsupported_value", "response_format",
                          "\"response_format\" binds the whole answer, so that no tool could be "
                          "called: it needs \"tool_choice\": \"none\" where there are tools");
    enum status status = r->schema ? constraint_from_schema(r->schema, constraint, &err)
                                   : constraint_from_any_object(constraint, &err);
    return !status || refuse("response_format", &err, error);
}

/* --- tool_choice --- */

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
            functions[n++] =
                (struct constraint_function){name, json_object_get(function, "parameters")};
    }
    return n;
}

static bool constrain_calls(const struct api_request *r, struct constraint **constraint,
                            struct api_error *error)
{
    struct error err = {0};
    struct constraint_function *functions = mem_array(json_array_size(r->tools), sizeof *functions);
    if (!functions)
        return api_refuse(error, 503, "out_of_memory", "tools", "out of memory for \"tools\"");
    bool one_call = r->one_tool_call || r->tool_choice == TOOLS_NAMED;
    struct constraint_calls calls = {.functions = functions,
                                     .n_functions = list_functions(r, functions),
                                     .before = TOOL_CALL_BEGIN "\n",
                                     .after = "\n" TOOL_CALL_END,
                                     .between = "\n",
                                     .max_calls = one_call ? 1 : 0};
    enum status status = constraint_from_calls(&calls, constraint, &err);
    mem_free(functions);
    return !status || refuse("tools", &err, error);
}

bool api_request_constrain(const struct api_request *r, struct constraint **constraint,
                           struct api_error *error)
{
    *constraint = NULL;
    if (r->must_be_json)
        return constrain_format(r, constraint, error);
    if (r->tool_choice == TOOLS_REQUIRED || r->tool_choice == TOOLS_NAMED)
        return constrain_calls(r, constraint, error);
    return true;
}
