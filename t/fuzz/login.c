/*
 * The responses of a registry and of its token server, as they come over the network. The
 * input is several responses, separated by lines "---". A proxy in this process sends
 * them, whatever is asked. Requests must be well-formed: no byte of a response ends a
 * line of a request or adds a header. A token is sent only to the registry. The first
 * line of the input is also the media type of an upload.
 */
#include "registry/login.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/io.h"
#include "base/mem.h"
#include "registry/http.h"

#include <ctype.h>
#include <pthread.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define HOST "registry.example"

enum { REQUEST_MAX = 1 << 16, BODY_MAX = 1 << 12 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The rest of the input. The proxy takes one response for each request. */
static struct {
	pthread_mutex_t lock;
	const char *data;
	size_t len;
} rest = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void set_input(const void *data, size_t len)
{
	pthread_mutex_lock(&rest.lock);
	rest.data = data;
	rest.len = len;
	pthread_mutex_unlock(&rest.lock);
}

static void take_response(struct buf *out)
{
	static const char line[] = "\n---\n";

	pthread_mutex_lock(&rest.lock);
	const char *end =
	    rest.len > 0 ? memmem(rest.data, rest.len, line, strlen(line)) : NULL;
	size_t len = end != NULL ? (size_t)(end - rest.data) + 1 : rest.len;
	buf_add(out, rest.data, len);
	rest.data += len;
	rest.len -= len;
	if (end != NULL) {
		rest.data += strlen(line) - 1;
		rest.len -= strlen(line) - 1;
	}
	pthread_mutex_unlock(&rest.lock);
}

/* --- requests --- */

static bool is_one_of(const char *line, size_t len, const char *const *names)
{
	for (; *names != NULL; names++)
		if (strlen(*names) == len && strncasecmp(line, *names, len) == 0)
			return true;
	return false;
}

/* Whether the request line is for the registry itself. */
static bool is_of_registry(const char *request)
{
	const char *url = strchr(request, ' ');
	static const char registry[] = " http://" HOST "/";

	return url != NULL && strncasecmp(url, registry, strlen(registry)) == 0;
}

static void check_header(const char *request, const char *line)
{
	static const char *const names[] = {"Host",
					    "User-Agent",
					    "Accept",
					    "Authorization",
					    "Range",
					    "Proxy-Connection",
					    "Content-Type",
					    "Content-Length",
					    "Accept-Encoding",
					    NULL};
	size_t len = strcspn(line, ":");
	const char *value = line + len + 2;

	if (line[len] != ':' || line[len + 1] != ' ' || *value == '\0' ||
	    !is_one_of(line, len, names))
		abort();
	if (len != strlen("Authorization"))
		return;
	bool is_token = strncmp(value, "Bearer ", 7) == 0;
	if (!is_token && strncmp(value, "Basic ", 6) != 0)
		abort();
	if (is_token && (!is_of_registry(request) || strchr(value + 7, ' ') != NULL))
		abort();
}

/* A request without a body: printable lines that end in CR LF, and an empty one. */
static void check_request(char *request)
{
	char *line = request, *end;
	size_t n = 0;

	for (; (end = strstr(line, "\r\n")) != NULL; line = end + 2, n++) {
		*end = '\0';
		for (const char *p = line; *p != '\0'; p++)
			if ((unsigned char)*p < ' ' || *p == 0x7f)
				abort();
		if (n == 0 &&
		    (strncmp(line, "GET ", 4) != 0 && strncmp(line, "PUT ", 4) != 0 &&
		     strncmp(line, "CONNECT ", 8) != 0))
			abort();
		if (n > 0 && end > line)
			check_header(request, line);
	}
	if (*line != '\0' || n < 2)
		abort();
}

/* --- the proxy --- */

/* Reads a request. Returns false if the client has gone. */
static bool read_request(int fd, struct buf *request)
{
	while (request->len < REQUEST_MAX) {
		char *to = buf_reserve(request, BODY_MAX);
		ssize_t n = read(fd, to, BODY_MAX);
		if (n <= 0)
			return false;
		request->len += (size_t)n;
		to[n] = '\0';
		if (request->len >= 4 &&
		    memcmp(request->data + request->len - 4, "\r\n\r\n", 4) == 0)
			return true;
	}
	abort();
}

static void *serve(void *arg)
{
	int at = *(int *)arg, fd;
	struct buf request = {0}, response = {0};

	while ((fd = accept(at, NULL, NULL)) >= 0) {
		buf_clear(&request);
		buf_clear(&response);
		if (read_request(fd, &request)) {
			if (strlen(request.data) != request.len)
				abort();
			check_request(request.data);
			take_response(&response);
			(void)io_write(fd, response.data, response.len);
		}
		close(fd);
	}
	abort();
}

/* Makes the proxy that of all requests, so that no other server is asked. */
static void start_proxy(void)
{
	static int fd;
	struct sockaddr_in a = {.sin_family = AF_INET};
	socklen_t len = sizeof a;
	pthread_t thread;
	char url[64];

	signal(SIGPIPE, SIG_IGN);
	a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
	    listen(fd, 16) < 0 || getsockname(fd, (struct sockaddr *)&a, &len) < 0 ||
	    pthread_create(&thread, NULL, serve, &fd) != 0)
		abort();
	snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(a.sin_port));
	setenv("http_proxy", url, 1);
	setenv("https_proxy", url, 1);
	setenv("all_proxy", url, 1);
	unsetenv("no_proxy");
	unsetenv("NO_PROXY");
}

/* Credentials for the registry. */
static void make_credentials(void)
{
	static const char text[] =
	    "{\"auths\":{\"" HOST "\":{\"auth\":\"dXNlcjpwYXNzd29yZA==\"}}}";
	char name[64];
	int fd = memfd_create("auth", MFD_CLOEXEC);

	if (fd < 0 || io_write(fd, text, strlen(text)) < 0)
		abort();
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	setenv("REGISTRY_AUTH_FILE", name, 1);
}

/* --- the client --- */

static void check_response(const struct http_response *r, const struct buf *body)
{
	if (body->len > BODY_MAX || strlen(r->type) >= sizeof r->type)
		abort();
	for (const char *p = r->type; *p != '\0'; p++)
		if (isupper((unsigned char)*p) || (unsigned char)*p < ' ')
			abort();
	if (r->offers.len > 0 && r->offers.data[r->offers.len - 1] != '\n')
		abort();
	for (size_t i = 0; i < r->location.len; i++)
		if ((unsigned char)r->location.data[i] <= ' ')
			abort();
	if (r->length > INT64_MAX || r->chunk_min > INT64_MAX)
		abort();
}

/* Stores an empty document of this media type. */
static void upload(struct login *l, struct http *h, const char *type)
{
	const struct http_body body = {.data = "", .type = type};
	struct http_request q = {
	    .url = "http://" HOST "/v2/y", .method = "PUT", .body = &body};
	struct http_response r = {0};
	struct err e;

	(void)login_send(l, h, &q, &r, &e);
	http_response_release(&r);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct login_scope scope = {.path = "library/hello", .push = true};
	static bool is_started;
	struct http_response r = {0};
	struct buf body = {0};
	struct err e;

	if (!is_started) {
		is_started = true;
		start_proxy();
		make_credentials();
	}
	set_input(data, size);
	struct http *h = http_new(true, 10);
	struct login *l = login_new(HOST, HOST, &scope);
	for (int i = 0; i < 2; i++) { /* the second with a token, if there is one */
		struct http_request q = {.url = "http://" HOST "/v2/x",
					 .accept = "application/json"};
		http_into(&q, &body, BODY_MAX);
		(void)login_send(l, h, &q, &r, &e);
		if (q.authorization != NULL)
			abort();
		check_response(&r, &body);
		/* The rest of a body that was cut off. */
		q.have = body.len;
		if (r.is_cut && q.have > 0)
			(void)login_send(l, h, &q, &r, &e);
		check_response(&r, &body);
	}
	char *type = mem_strndup((const char *)data, size);
	type[strcspn(type, "\n")] = '\0';
	upload(l, h, type);
	free(type);
	login_release(l);
	http_release(h);
	set_input("", 0);
	http_response_release(&r);
	buf_release(&body);
	return 0;
}
