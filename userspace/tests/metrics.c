// SPDX-License-Identifier: GPL-2.0
/* What Prometheus gets, and lines of JSON. */
#include <errno.h>
#include <limits.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <json-c/json.h>

#include "http.h"
#include "line.h"
#include "metrics.h"
#include "tap.h"
#include "tree.h"

#define WORD "abcdefghijklmnopqrstuvwxyz_"

static bool is_word(char c)
{
	return c && strchr(WORD, c);
}

static char *metrics(const struct mrm_root *root)
{
	char *text = NULL;
	size_t size = 0;
	FILE *stream = open_memstream(&text, &size);

	tap_ok(!metrics_write(stream, root, true), "metrics are written");
	fclose(stream);
	return text;
}

/* Each family once, with its samples after its TYPE; EOF at the end. */
static void check_format(const char *text)
{
	char family[128] = "", seen[65536] = ";", name[140];
	unsigned int wrong = 0, families = 0;
	const char *line = text;

	for (; *line; line = strchr(line, '\n') + 1) {
		if (sscanf(line, "# TYPE %127s", family) == 1) {
			snprintf(name, sizeof(name), ";%s;", family);
			wrong += strstr(seen, name) != NULL;
			strcat(seen, name);
			families++;
		} else if (*line != '#') {
			wrong += strncmp(line, family, strlen(family)) != 0;
		}
	}
	tap_ok(!wrong && families > 40, "%u families, each once and in one piece", families);
	tap_ok(strlen(text) > 6 && !strcmp(text + strlen(text) - 6, "# EOF\n"), "and an end");
}

static void has_all(const char *text, const char *const *samples)
{
	for (; *samples; samples++)
		tap_has(text, *samples, *samples);
}

/* What is compressed and swapped, and who waits. */
static void check_swap(const char *text)
{
	static const char *const samples[] = {
		"mrm_vm_zipped_bytes{vm=\"swaps\",pid=\"8\"} 12288",
		"mrm_vm_zip_bytes{vm=\"swaps\",pid=\"8\"} 5000",
		"mrm_vm_swapped_bytes{vm=\"swaps\",pid=\"8\"} 16384",
		"mrm_vm_swap_free_bytes{vm=\"swaps\",pid=\"8\"} 20480",
		"mrm_vm_swap_bad_bytes{vm=\"swaps\",pid=\"8\"} 24576",
		"mrm_vm_swap_ins_total{vm=\"swaps\",pid=\"8\"} 7",
		"mrm_vm_swap_aheads_total{vm=\"swaps\",pid=\"8\"} 2",
		"mrm_vm_swap_kept_total{vm=\"swaps\",pid=\"8\"} 11",
		"mrm_vm_swap_cached_bytes{vm=\"swaps\",pid=\"8\"} 49152",
		"mrm_vm_zip_misfits_total{vm=\"swaps\",pid=\"8\"} 13",
		"mrm_vm_read_errors_total{vm=\"swaps\",pid=\"8\"} 1",
		"mrm_vm_swap_outs_total{vm=\"swaps\",pid=\"8\"} 8",
		"mrm_vm_blocked_vcpus{vm=\"swaps\",pid=\"8\"} 9",
		"mrm_vm_blocks_total{vm=\"swaps\",pid=\"8\"} 10",
		"# TYPE mrm_vm_swap_bad_bytes gauge",
		"# TYPE mrm_vm_swap_ins counter",
		"# TYPE mrm_vm_swap_outs counter",
		"# TYPE mrm_vm_blocked_vcpus gauge",
		"# TYPE mrm_vm_blocks counter",
		NULL,
	};

	has_all(text, samples);
}

/* Large pages, of the host and of a VM, in bytes. */
static void check_large(const char *text)
{
	static const char *const samples[] = {
		"# TYPE mrm_large_bytes gauge\n# UNIT mrm_large_bytes bytes\n",
		"\nmrm_large_bytes 10485760\n",
		"\nmrm_large_held_bytes 12345\n",
		"\nmrm_large_pages_broken_total 6\n",
		"# TYPE mrm_large_pages_rebuilt counter",
		"# TYPE mrm_large_pages_failed counter",
		"mrm_vm_alloc_guest_large_page{vm=\"swaps\",pid=\"8\"} 1\n",
		"mrm_vm_large_bytes{vm=\"swaps\",pid=\"8\"} 4194304\n",
		"mrm_vm_large_held_bytes{vm=\"swaps\",pid=\"8\"} 8192\n",
		"mrm_vm_large_pages_broken_total{vm=\"swaps\",pid=\"8\"} 0\n",
		NULL,
	};

	has_all(text, samples);
}

/* Copies for devices, of the host and of a VM. */
static void check_io(const char *text)
{
	static const char *const samples[] = {
		"# TYPE mrm_io_bounces counter",
		"\nmrm_io_bounces_total 70\n",
		"\nmrm_io_low_bytes 65536\n",
		"\nmrm_io_left_total 3\n",
		"# TYPE mrm_io_low_bytes gauge",
		"# TYPE mrm_io_busy counter",
		"# TYPE mrm_io_refused counter",
		"# TYPE mrm_io_missed counter",
		"mrm_vm_io_bounces_total{vm=\"swaps\",pid=\"8\"} 60\n",
		"mrm_vm_io_bounced_bytes_total{vm=\"swaps\",pid=\"8\"} 245760\n",
		"mrm_vm_io_remapped_pages_total{vm=\"swaps\",pid=\"8\"} 16\n",
		"mrm_vm_io_returned_pages_total{vm=\"swaps\",pid=\"8\"} 4\n",
		"mrm_vm_io_low_bytes{vm=\"swaps\",pid=\"8\"} 49152\n",
		NULL,
	};

	has_all(text, samples);
}

/* Is it there, and not as a part of a longer one? */
static bool has_word(const char *text, const char *word, size_t length)
{
	const char *at = text;

	while ((at = strstr(at, word))) {
		if (at > text && !is_word(at[-1]) && !is_word(at[length]))
			return true;
		at++;
	}
	return false;
}

/* What a file asks Prometheus for is what there is. */
static void check_names(const char *text, const char *source, const char *file)
{
	char path[4096], line[4096], word[128];
	unsigned int words = 0, unknown = 0;
	FILE *stream;
	char *at;

	snprintf(path, sizeof(path), "%s/mrmd/%s", source, file);
	stream = fopen(path, "re");
	while (stream && fgets(line, sizeof(line), stream)) {
		for (at = line; (at = strstr(at, "mrm_")); at += strlen(word)) {
			size_t length = strspn(at, WORD);

			snprintf(word, sizeof(word), "%.*s", (int)length, at);
			words++;
			if (has_word(text, word, length))
				continue;
			unknown++;
			printf("# %s: there is no %s\n", file, word);
		}
	}
	tap_ok(stream && words > 5 && !unknown, "%u names in %s", words, file);
	if (stream)
		fclose(stream);
}

/* Each state is there, and one of them is it. */
static void check_states(const struct tree *tree, const struct mrm_root *root)
{
	static const char *const states[] = { "high", "clear", "soft", "hard", "low" };
	char sample[64];
	size_t i, j;
	char *text;

	for (i = 0; i < sizeof(states) / sizeof(states[0]); i++) {
		tree_write(tree, "state", states[i]);
		text = metrics(root);
		for (j = 0; j < sizeof(states) / sizeof(states[0]); j++) {
			snprintf(sample, sizeof(sample), "mrm_state{mrm_state=\"%s\"} %d\n",
				 states[j], i == j);
			tap_has(text, sample, states[i]);
		}
		free(text);
	}
}

/**
 * test_metrics() - OpenMetrics, who reads them, and where they are served
 * @source: directory of mrmd's
 */
void test_metrics(const char *source)
{
	struct sockaddr_storage address;
	struct mrm_root root;
	struct tree tree;
	socklen_t length;
	char *text;

	tree_make(&tree);
	tree_add_vm(&tree, 7, "a\"b\\c\xff", 512);
	tree_write(&tree, "vm/7/balloon_state", "unresponsive");
	tree_write(&tree, "vm/7/salt", "secret");
	tree_write(&tree, "vm/7/running_ns", "1500000000");
	tree_write(&tree, "overcommit_percent", "160");
	tree_add_vm(&tree, 8, "swaps", 0);
	tree_write(&tree, "vm/8/zipped_pages", "3");
	tree_write(&tree, "vm/8/zip_bytes", "5000");
	tree_write(&tree, "vm/8/swapped_pages", "4");
	tree_write(&tree, "vm/8/swap_free_pages", "5");
	tree_write(&tree, "vm/8/swap_bad_pages", "6");
	tree_write(&tree, "vm/8/swap_ins", "7");
	tree_write(&tree, "vm/8/swap_aheads", "2");
	tree_write(&tree, "vm/8/swap_kept", "11");
	tree_write(&tree, "vm/8/swap_cached_pages", "12");
	tree_write(&tree, "vm/8/zip_misfits", "13");
	tree_write(&tree, "vm/8/read_errors", "1");
	tree_write(&tree, "vm/8/swap_outs", "8");
	tree_write(&tree, "vm/8/blocked_vcpus", "9");
	tree_write(&tree, "vm/8/blocks", "10");
	tree_write(&tree, "large_pages", "5");
	tree_write(&tree, "large_held_bytes", "12345");
	tree_write(&tree, "large_pages_broken", "6");
	tree_write(&tree, "vm/8/large_pages", "2");
	tree_write(&tree, "vm/8/large_held_bytes", "8192");
	tree_write(&tree, "state", "soft");
	tree_write(&tree, "io_bounces", "70");
	tree_write(&tree, "io_low_bytes", "65536");
	tree_write(&tree, "io_left", "3");
	tree_write(&tree, "vm/8/io_bounces", "60");
	tree_write(&tree, "vm/8/io_bounced_bytes", "245760");
	tree_write(&tree, "vm/8/io_remapped_pages", "16");
	tree_write(&tree, "vm/8/io_returned_pages", "4");
	tree_write(&tree, "vm/8/io_low_bytes", "49152");
	mrm_open(&root, tree.path);
	text = metrics(&root);
	check_format(text);
	check_swap(text);
	check_large(text);
	check_io(text);
	check_names(text, source, "grafana.json");
	check_names(text, source, "alerts.yml");
	tap_has(text, "# TYPE mrm_vm_shared_bytes gauge\n# UNIT mrm_vm_shared_bytes bytes\n",
		"a family has a type and a unit");
	tap_has(text, "mrm_vm_shared_bytes{vm=\"a\\\"b\\\\c\xef\xbf\xbd\",pid=\"7\"} 2097152\n",
		"pages in bytes, and a name that is escaped");
	tap_has(text, "# TYPE mrm_vm_running_seconds counter\n", "what grows is a counter");
	tap_has(text,
		"mrm_vm_running_seconds_total{vm=\"a\\\"b\\\\c\xef\xbf\xbd\",pid=\"7\"} 1.5000",
		"time in seconds");
	tap_has(text, "mrm_overcommit_ratio 1.60\n", "a ratio");
	tap_has(text, "mrm_vm_balloon_state=\"unresponsive\"} 1\n", "the state of a balloon");
	tap_ok(!strstr(text, "secret"), "but no salt");
	free(text);
	check_states(&tree, &root);
	mrm_close(&root);
	text = metrics(NULL);
	tap_has(text, "mrm_loaded 0\n", "without the module");
	free(text);
	tree_remove(&tree);

	tap_ok(!http_address("127.0.0.1:9707", &address, &length) && address.ss_family == AF_INET &&
		       length == sizeof(struct sockaddr_in),
	       "an address");
	tap_ok(!http_address("[::1]:80", &address, &length) && address.ss_family == AF_INET6,
	       "one of IPv6");
	tap_ok(!http_address("unix:/run/x", &address, &length) && address.ss_family == AF_UNIX,
	       "a path");
	tap_ok(http_address("0.0.0.0:80", &address, &length) &&
		       http_address("10.0.0.1:80", &address, &length) &&
		       http_address("[::]:80", &address, &length) &&
		       http_address("127.0.0.1:0", &address, &length) &&
		       http_address("127.0.0.1:65536", &address, &length) &&
		       http_address("127.0.0.1", &address, &length) &&
		       http_address("unix:x", &address, &length) &&
		       http_address("", &address, &length),
	       "no other");
}

/* All of what is answered to a request at a socket; to be freed. */
static char *ask(const char *path, const char *request)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char *text = NULL, part[4096];
	FILE *stream;
	size_t size;
	ssize_t n;

	strcpy(address.sun_path, path);
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) ||
	    dprintf(fd, "%s /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", request) <
		    0) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	stream = open_memstream(&text, &size);
	if (!stream)
		exit(2);
	while ((n = read(fd, part, sizeof(part))) > 0)
		fwrite(part, 1, n, stream);
	fclose(stream);
	close(fd);
	return text;
}

/**
 * test_http() - metrics at a path
 */
void test_http(void)
{
	char path[PATH_MAX], place[PATH_MAX + 8], *text;
	struct tree tree;
	struct stat st;
	FILE *file;

	tree_make(&tree);
	tree_add_vm(&tree, 7, "a", 512);
	snprintf(path, sizeof(path), "%s/socket", tree.path);
	snprintf(place, sizeof(place), "unix:%s", path);
	tap_ok(!http_init(place, tree.path), "metrics are served at a path");
	tap_ok(!stat(path, &st) && (st.st_mode & 07777) == 0666, "that everybody may read");
	text = ask(path, "GET");
	tap_has(text ?: "", "HTTP/1.1 200 OK", "they are answered");
	tap_has(text ?: "", "Content-Type: application/openmetrics-text", "as what they are");
	tap_has(text ?: "", "mrm_vm_shared_bytes{vm=\"a\",pid=\"7\"} 2097152\n", "with the VMs");
	tap_has(text ?: "", "\n# EOF\n", "to their end");
	free(text);
	text = ask(path, "DELETE");
	tap_has(text ?: "", "HTTP/1.1 405 ", "nothing can be done there");
	free(text);
	http_end();
	tap_ok(lstat(path, &st) && !ask(path, "GET"), "nothing is left");

	file = fopen(path, "w");
	if (!file)
		exit(2);
	fclose(file);
	tap_ok(http_init(place, tree.path) && !stat(path, &st) && S_ISREG(st.st_mode),
	       "what is no socket is not removed");
	unlink(path);
	tree_remove(&tree);
}

/**
 * test_line() - JSON over sockets
 */
void test_line(void)
{
	struct json_object *object = json_object_new_object();
	struct line line = { 0 };
	char *text, big[9000];
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		exit(2);
	tap_ok(line_read(&line, pair[0]) == -EAGAIN && !line_take(&line), "nothing has come");
	tap_ok(write(pair[1], "one\ntw", 6) == 6 && !line_read(&line, pair[0]), "something has");
	text = line_take(&line);
	tap_text(text, "one", "a line");
	free(text);
	tap_ok(!line_take(&line), "and a part of one");
	memset(big, 'x', sizeof(big));
	big[8999] = '\n';
	tap_ok(write(pair[1], big, sizeof(big)) == sizeof(big), "a long one");
	while (!line_read(&line, pair[0]))
		;
	text = line_take(&line);
	tap_ok(text && strlen(text) == 9001 && !strncmp(text, "twx", 3), "is put together");
	free(text);
	json_object_object_add(object, "a", json_object_new_string("b\nc"));
	tap_ok(!line_send(pair[1], object) && !line_read(&line, pair[0]), "an object is sent");
	text = line_take(&line);
	tap_text(text, "{\"a\":\"b\\nc\"}", "in one line");
	free(text);
	close(pair[1]);
	tap_ok(line_read(&line, pair[0]) == -EPIPE, "the other side has gone");
	close(pair[0]);
	line_free(&line);
}
