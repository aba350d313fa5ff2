/* Chat messages as requests bring them: roles, contents, tool calls. */
#include "serve/api_fields.h"

#include <stdio.h>
#include <string.h>

struct message {
    const char *role, *name, *tool_call_id, *refusal;
    const json_t *content, *tool_calls;
};

static bool read_content(void *target, const char *name, const json_t *value,
                         struct api_error *error)
{
    struct message *m = target;
    size_t i;
    const json_t *part;
    if (!json_is_string(value) && !json_is_array(value))
        return field_wrong_type(name, "a string, or a list of parts of type \"text\"", error);
    m->content = value;
    json_array_foreach(value, i, part)
    {
        const char *type = json_string_value(json_object_get(part, "type"));
        char where[128];
        snprintf(where, sizeof where, "%s[%zu]", name, i);
        if (!type || strcmp(type, "text") != 0 || !json_is_string(json_object_get(part, "text")))
            return api_refuse(
                error, 400, type ? "unsupported_value" : "invalid_type", where,
                "\"%s\" is not {\"type\": \"text\", \"text\": \"...\"}: the models of "
                "this server read text only",
                where);
    }
    return true;
}

static bool read_tool_calls(void *target, const char *name, const json_t *value,
                            struct api_error *error)
{
    struct message *m = target;
    if (!json_is_array(value) || json_array_size(value) == 0)
        return field_wrong_type(name, "a list of calls", error);
    m->tool_calls = value;
    return true;
}

#define AT(member) .offset = offsetof(struct message, member)

static const struct field message_fields[] = {{"role", FIELD_STRING, AT(role)},
                                              {"content", FIELD_CUSTOM, .read = read_content},
                                              {"name", FIELD_STRING, AT(name)},
                                              {"tool_calls", FIELD_CUSTOM, .read = read_tool_calls},
                                              {"tool_call_id", FIELD_STRING, AT(tool_call_id)},
                                              {"refusal", FIELD_STRING, AT(refusal)},
                                              {0}};

static bool is_role(const char *role)
{
    static const char *const roles[] = {"system", "developer", "user", "assistant", "tool"};
    for (size_t i = 0; role && i < sizeof roles / sizeof *roles; i++)
        if (!strcmp(role, roles[i]))
            return true;
    return false;
}

static bool check_message(const json_t *value, const char *where, struct api_error *error)
{
    struct message m = {0};
    char name[96];
    if (!fields_read(message_fields, ~0u, value, where, &m, error))
        return false;
    snprintf(name, sizeof name, "%s.role", where);
    if (!is_role(m.role))
        return api_refuse(error, 400, "invalid_value", name,
                          "\"%s\" must be system, developer, user, assistant or tool", name);
    snprintf(name, sizeof name, "%s.content", where);
    if (!m.content && !m.tool_calls)
        return api_refuse(error, 400, "missing_required_parameter", name, "\"%s\" is missing",
                          name);
    return true;
}

bool api_check_messages(const char *name, const json_t *value, struct api_error *error)
{
    size_t i;
    const json_t *item;
    if (!json_is_array(value) || json_array_size(value) == 0)
        return field_wrong_type(name, "a list of at least one message", error);
    json_array_foreach(value, i, item)
    {
        char where[64];
        snprintf(where, sizeof where, "%s[%zu]", name, i);
        if (!check_message(item, where, error))
            return false;
    }
    return true;
}
