#include "http.h"

#include "err.h"
#include "mem.h"

#include <ctype.h>
#include <curl/curl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
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

/* Bits that say where an address is; 0 is far away. */
enum { ON_MACHINE = 1, ON_LINK = 2 };

static int nearness4(uint32_t a)
{
	if (a >> 24 == 127 || a >> 24 == 0)
		return ON_MACHINE;
	return a >> 16 == 0xa9fe ? ON_LINK : 0;
}

static int nearness6(const struct in6_addr *a)
{
	const uint8_t *b = a->s6_addr;

	if (IN6_IS_ADDR_LOOPBACK(a) || IN6_IS_ADDR_UNSPECIFIED(a))
		return ON_MACHINE;
	if (IN6_IS_ADDR_LINKLOCAL(a))
		return ON_LINK;
	if (IN6_IS_ADDR_V4MAPPED(a))
		return nearness4((uint32_t)b[12] << 24 | (uint32_t)b[13] << 16 |
				 (uint32_t)b[14] << 8 | b[15]);
	return 0;
}

/* Of all addresses that the host has. */
static int nearness(const char *host)
{
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
	int bits = 0;
	size_t len = strlen(host);
	char *bare = host[0] == '[' ? mem_strndup(host + 1, len - 2) : mem_strdup(host);

	if (getaddrinfo(bare, NULL, &hints, &list) != 0)
		list = NULL;
	for (const struct addrinfo *i = list; i != NULL; i = i->ai_next) {
		if (i->ai_family == AF_INET) {
			memcpy(&in, i->ai_addr, sizeof in);
			bits |= nearness4(ntohl(in.sin_addr.s_addr));
		} else if (i->ai_family == AF_INET6) {
			memcpy(&in6, i->ai_addr, sizeof in6);
			bits |= nearness6(&in6.sin6_addr);
		}
	}
	if (list != NULL)
		freeaddrinfo(list);
	free(bare);
	return bits;
}

bool http_may_lead(const char *from, const char *to)
{
	if (strcasecmp(from, to) == 0)
		return true;
	int there = nearness(to);
	return there == 0 || there == nearness(from);
}

void http_escape(struct buf *out, const char *text)
{
	for (; *text != '\0'; text++) {
		unsigned char c = (unsigned char)*text;
		if ((c < 0x80 && isalnum(c)) || strchr("-._~", c) != NULL)
			buf_addch(out, (char)c);
		else
			buf_addf(out, "%%%02X", (unsigned)c);
	}
}

int http_join(struct buf *url, const char *reference)
{
	CURLU *u = curl_url();
	char *target = NULL;

	if (u == NULL)
		die("out of memory");
	bool is_good = curl_url_set(u, CURLUPART_URL, url->data, 0) == CURLUE_OK &&
		       curl_url_set(u, CURLUPART_URL, reference, 0) == CURLUE_OK &&
		       curl_url_get(u, CURLUPART_URL, &target, 0) == CURLUE_OK;
	curl_url_cleanup(u);
	if (!is_good)
		return -1;
	buf_clear(url);
	buf_addstr(url, target);
	curl_free(target);
	return 0;
}
