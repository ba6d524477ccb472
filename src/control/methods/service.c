/* org.varlink.service: what every Varlink service says about itself. */
#include <string.h>

#include "base/json.h"
#include "control/method.h"

#define INTERFACE "io.mcastd"
#define SERVICE_INTERFACE "org.varlink.service"

static const char description[] =
#include "control/io.mcastd.varlink.h"
	;

/* The standard's own text, as every service gives it. */
static const char service_description[] =
	"# The Varlink Service Interface is provided by every varlink service.\n"
	"interface org.varlink.service\n"
	"\n"
	"method GetInfo() -> (\n"
	"  vendor: string,\n"
	"  product: string,\n"
	"  version: string,\n"
	"  url: string,\n"
	"  interfaces: []string\n"
	")\n"
	"\n"
	"method GetInterfaceDescription(interface: string) -> (description: string)\n"
	"\n"
	"error InterfaceNotFound (interface: string)\n"
	"error MethodNotFound (method: string)\n"
	"error MethodNotImplemented (method: string)\n"
	"error InvalidParameter (parameter: string)\n"
	"error PermissionDenied ()\n"
	"error ExpectedMore ()\n";

static enum call_result call_get_info(struct client *client, const struct call *call)
{
	struct text *text;

	if (method_read_none(client, call) < 0)
		return CALL_DONE;
	text = client_begin_reply(client);
	json_put_string(text, "vendor", "mcastd");
	json_put_string(text, "product", "mcastd");
	json_put_string(text, "version", method_backend(client)->version);
	json_put_string(text, "url", "");
	json_put_open(text, "interfaces", '[');
	json_put_string(text, NULL, SERVICE_INTERFACE);
	json_put_string(text, NULL, INTERFACE);
	json_put_close(text, ']');
	client_end(client);
	return CALL_DONE;
}

static enum call_result call_get_interface_description(
	struct client *client, const struct call *call)
{
	const char *interface;
	const struct parameter rows[] = {{"interface", PARAMETER_NAME, true, &interface}};

	if (method_read(client, call, rows, ARRAY_SIZE(rows)) < 0)
		return CALL_DONE;
	if (!strcmp(interface, INTERFACE))
		json_put_string(client_begin_reply(client), "description", description);
	else if (!strcmp(interface, SERVICE_INTERFACE))
		json_put_string(client_begin_reply(client), "description", service_description);
	else
		json_put_string(client_begin_error(client, SERVICE_INTERFACE ".InterfaceNotFound"),
			"interface", interface);
	client_end(client);
	return CALL_DONE;
}

const struct method get_info_method = {.name = SERVICE_INTERFACE ".GetInfo", .call = call_get_info};
const struct method get_interface_description_method = {
	.name = SERVICE_INTERFACE ".GetInterfaceDescription",
	.call = call_get_interface_description};
