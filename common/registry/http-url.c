#include "registry/http.h"

#include "base/err.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static int bad_url(CURLU *u, struct err *e, const char *why)
{
	curl_url_cleanup(u);
	return err_set(e, "a URL that %s", why);
}

int http_origin(struct http_origin *o, const char *url, struct err *e)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL, *port = NULL, *user = NULL, *password = NULL;

	if (u == NULL)
		die("out of memory");
	if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
	    curl_url_get(u, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK) {
		curl_free(scheme);
		curl_free(host);
		return bad_url(u, e, "cannot be read");
	}
	bool has_user = curl_url_get(u, CURLUPART_USER, &user, 0) == CURLUE_OK ||
			curl_url_get(u, CURLUPART_PASSWORD, &password, 0) == CURLUE_OK;
	o->is_secure = strcmp(scheme, "https") == 0;
	bool is_http = o->is_secure || strcmp(scheme, "http") == 0;
	size_t len = strlen(host);
	bool fits = len < sizeof o->host;
	if (fits) {
		snprintf(o->host, sizeof o->host, "%s", host);
		snprintf(o->text, sizeof o->text, "%s://%s:%s", scheme, o->host, port);
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_free(user);
	curl_free(password);
	if (has_user)
		return bad_url(u, e, "has a user in it");
	if (!is_http || !fits)
		return bad_url(u, e, "is not of http");
	curl_url_cleanup(u);
	for (char *p = o->text; *p != '\0'; p++)
		*p = (char)tolower((unsigned char)*p);
	return 0;
}

/*
 * Addresses at which clouds offer services to their virtual machines. They are not
 * link-local addresses.
 */
static const char *const cloud4[] = {"100.100.100.200", "168.63.129.16", "192.0.0.192"};
static const char *const cloud6[] = {"fd00:ec2::254", "fd20:ce::254"};

static enum http_place place4(const struct in_addr *a)
{
	struct in_addr cloud;
	uint32_t n = ntohl(a->s_addr);

	if (n >> 24 == 127 || n >> 24 == 0)
		return HTTP_ON_MACHINE;
	if (n >> 16 == 0xa9fe)
		return HTTP_ON_LINK;
	for (size_t i = 0; i < sizeof cloud4 / sizeof *cloud4; i++)
		if (inet_pton(AF_INET, cloud4[i], &cloud) == 1 &&
		    cloud.s_addr == a->s_addr)
			return HTTP_ON_LINK;
	return HTTP_FAR;
}

/*
 * Extracts the IPv4 address embedded in an IPv6 address. Routers translate such
 * addresses.
 */
static bool embedded(const struct in6_addr *a, struct in_addr *v4)
{
	static const struct {
		uint8_t prefix[12];
		size_t len, at; /* in bytes */
	} table[] = {
	    {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 12, 12}, /* mapped, RFC 4291 */
	    {{0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0}, 12, 12}, /* RFC 7915 */
	    {{0, 0x64, 0xff, 0x9b}, 12, 12},                      /* NAT64, RFC 6052 */
	    {{0, 0x64, 0xff, 0x9b, 0, 1}, 6, 12},                 /* NAT64, RFC 8215 */
	    {{0}, 12, 12},                                        /* compatible */
	    {{0x20, 0x02}, 2, 2},                                 /* 6to4, RFC 3056 */
	};

	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (memcmp(a->s6_addr, table[i].prefix, table[i].len) == 0) {
			memcpy(v4, a->s6_addr + table[i].at, sizeof *v4);
			return true;
		}
	return false;
}

static enum http_place place6(const struct in6_addr *a)
{
	struct in6_addr cloud;
	struct in_addr v4;

	if (IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_UNSPECIFIED(a))
		return HTTP_ON_MACHINE;
	if (IN6_IS_ADDR_LINKLOCAL(a))
		return HTTP_ON_LINK;
	for (size_t i = 0; i < sizeof cloud6 / sizeof *cloud6; i++)
		if (inet_pton(AF_INET6, cloud6[i], &cloud) == 1 &&
		    memcmp(&cloud, a, sizeof cloud) == 0)
			return HTTP_ON_LINK;
	return embedded(a, &v4) ? place4(&v4) : HTTP_FAR;
}

/* Whether the name is localhost or ends in ".localhost". A final dot is allowed. */
static bool is_localhost(const char *host)
{
	static const char name[] = "localhost";
	size_t n = strlen(host), want = strlen(name);

	if (n > 0 && host[n - 1] == '.')
		n--;
	return n >= want && strncasecmp(host + n - want, name, want) == 0 &&
	       (n == want || host[n - want - 1] == '.');
}

enum http_place http_place_of(const char *host)
{
	char bare[INET6_ADDRSTRLEN];
	struct in_addr v4;
	struct in6_addr v6;

	if (inet_aton(host, &v4) != 0)
		return place4(&v4);
	if (is_localhost(host))
		return HTTP_ON_MACHINE;
	if (*host == '[')
		host++;
	snprintf(bare, sizeof bare, "%.*s", (int)strcspn(host, "]%"), host);
	return inet_pton(AF_INET6, bare, &v6) == 1 ? place6(&v6) : HTTP_FAR;
}

int http_resolve(const char *base, const char *target, struct buf *out)
{
	CURLU *u = curl_url();
	char *whole = NULL;

	if (u == NULL)
		die("out of memory");
	bool ok = curl_url_set(u, CURLUPART_URL, base, 0) == CURLUE_OK &&
		  curl_url_set(u, CURLUPART_URL, target, 0) == CURLUE_OK &&
		  curl_url_get(u, CURLUPART_URL, &whole, 0) == CURLUE_OK;
	buf_clear(out);
	if (ok)
		buf_addstr(out, whole);
	curl_free(whole);
	curl_url_cleanup(u);
	return ok ? 0 : -1;
}

void http_escape(struct buf *out, const char *text)
{
	char *escaped = curl_easy_escape(NULL, text, 0);

	if (escaped == NULL)
		die("out of memory");
	buf_addstr(out, escaped);
	curl_free(escaped);
}

void http_add_query(struct buf *url, const char *query)
{
	size_t n = strcspn(url->data, "#");

	url->data[n] = '\0';
	url->len = n;
	buf_addf(url, "%c%s", strchr(url->data, '?') != NULL ? '&' : '?', query);
}
