#include "dmoerm/label/http_client.h"

#include <curl/curl.h>
#include <strings.h>

#include <algorithm>
#include <cmath>

#include "dmoerm/core/error.h"

namespace dmoerm::label {
namespace {

constexpr double kConnectTimeout = 30;  // seconds

bool is_fatal(CURLcode code) {
  constexpr CURLcode kFatal[] = {CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL,
                                 CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE};
  return std::find(std::begin(kFatal), std::end(kFatal), code) != std::end(kFatal);
}

}  // namespace

struct HttpClient::Impl {
  template <auto cleanup>
  struct Cleanup {
    template <typename T>
    void operator()(T* pointer) const {
      cleanup(pointer);
    }
  };
  using Easy = std::unique_ptr<CURL, Cleanup<curl_easy_cleanup>>;
  using Multi = std::unique_ptr<CURLM, Cleanup<curl_multi_cleanup>>;
  using List = std::unique_ptr<curl_slist, Cleanup<curl_slist_free_all>>;
  using Url = std::unique_ptr<CURLU, Cleanup<curl_url_cleanup>>;

  struct Slot {
    Easy easy;
    HttpResponse response;
    size_t max_body = 0;
    bool busy = false;
  };

  Multi multi;
  List headers;
  std::vector<Slot> slots;
  size_t in_flight = 0;

  static size_t write_body(char* data, size_t, size_t size, void* user);
  static size_t read_header(char* data, size_t, size_t size, void* user);
  static void check_url(const std::string& text);
  void add_header(const std::string& line);
  void prepare(Slot& slot, const HttpOptions& options);
  void finish(Slot& slot, CURLcode code);
};

void HttpClient::Impl::check_url(const std::string& text) {
  const Url url(curl_url());
  const CURLUcode parsed = curl_url_set(url.get(), CURLUPART_URL, text.c_str(), 0);
  const bool is_address =
      parsed == CURLUE_OK && (text.starts_with("http://") || text.starts_with("https://"));
  char* user = nullptr;
  const bool has_user = curl_url_get(url.get(), CURLUPART_USER, &user, 0) == CURLUE_OK;
  curl_free(user);
  if (has_user || (!is_address && text.find('@') != std::string::npos))  // shown nowhere
    fail("label", "the endpoint holds a user's name or password: give the key by a variable or a file");
  if (!is_address)
    fail("label", "\"{}\" is no address, expected for example https://api.openai.com/v1", text);
}

size_t HttpClient::Impl::write_body(char* data, size_t, size_t size, void* user) {
  Slot& slot = *static_cast<Slot*>(user);
  if (slot.response.body.size() + size > slot.max_body) {
    slot.response.error = fmt::format("the answer is larger than {} bytes", slot.max_body);
    return 0;
  }
  slot.response.body.append(data, size);
  return size;
}

size_t HttpClient::Impl::read_header(char* data, size_t, size_t size, void* user) {
  HttpResponse& response = static_cast<Slot*>(user)->response;
  const std::string_view line(data, size);
  const auto value_of = [&](std::string_view name, std::string& value) {
    if (line.size() <= name.size() || strncasecmp(data, name.data(), name.size()) != 0) return;
    const size_t begin = line.find_first_not_of(" \t", name.size());
    const size_t end = line.find_last_not_of(" \t\r\n");
    value = begin == std::string_view::npos || end < begin ? ""
                                                           : std::string(line.substr(begin, end - begin + 1));
  };
  if (line.starts_with("HTTP/")) response.retry_after = response.location = "";
  value_of("retry-after:", response.retry_after);
  value_of("location:", response.location);
  return size;
}

void HttpClient::Impl::add_header(const std::string& line) {
  curl_slist* const list = curl_slist_append(headers.get(), line.c_str());
  if (list == nullptr) throw std::bad_alloc();
  headers.release();
  headers.reset(list);
}

void HttpClient::Impl::prepare(Slot& slot, const HttpOptions& options) {
  slot.easy.reset(curl_easy_init());
  slot.max_body = options.max_body;
  CURL* const easy = slot.easy.get();
  const auto milliseconds = [](double seconds) { return static_cast<long>(std::ceil(1000 * seconds)); };
  curl_easy_setopt(easy, CURLOPT_URL, options.url.c_str());
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_2TLS));
  curl_easy_setopt(easy, CURLOPT_PIPEWAIT, 1L);  // streams of one connection rather than many connections
  curl_easy_setopt(easy, CURLOPT_POST, 1L);
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers.get());
  curl_easy_setopt(easy, CURLOPT_HEADEROPT, static_cast<long>(CURLHEADER_SEPARATE));  // none for a proxy
  curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
  curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, milliseconds(options.timeout));
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, milliseconds(std::min(options.timeout, kConnectTimeout)));
  curl_easy_setopt(easy, CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, write_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, &slot);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, read_header);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, &slot);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, &slot);
}

HttpClient::HttpClient(const HttpOptions& options) : impl_(std::make_unique<Impl>()) {
  static const CURLcode initialized = curl_global_init(CURL_GLOBAL_DEFAULT);
  if (initialized != CURLE_OK) fail("label", "libcurl cannot start: {}", curl_easy_strerror(initialized));
  Impl::check_url(options.url);
  impl_->multi.reset(curl_multi_init());
  curl_multi_setopt(impl_->multi.get(), CURLMOPT_MAXCONNECTS, static_cast<long>(options.slots));
  impl_->add_header("Content-Type: application/json");
  impl_->add_header("Expect:");  // no waiting for "100 Continue"
  for (const std::string& header : options.headers) impl_->add_header(header);
  impl_->slots.resize(options.slots);
  for (Impl::Slot& slot : impl_->slots) impl_->prepare(slot, options);
}

HttpClient::~HttpClient() {
  for (Impl::Slot& slot : impl_->slots)
    if (slot.busy) curl_multi_remove_handle(impl_->multi.get(), slot.easy.get());
}

size_t HttpClient::in_flight() const {
  return impl_->in_flight;
}

void HttpClient::start(size_t number, std::string_view body) {
  Impl::Slot& slot = impl_->slots.at(number);
  DMOERM_ASSERT(!slot.busy);
  slot.response = {};
  slot.busy = true;
  curl_easy_setopt(slot.easy.get(), CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(slot.easy.get(), CURLOPT_POSTFIELDS, body.data());
  const CURLMcode added = curl_multi_add_handle(impl_->multi.get(), slot.easy.get());
  if (added != CURLM_OK) fail("label", "libcurl: {}", curl_multi_strerror(added));
  ++impl_->in_flight;
}

void HttpClient::Impl::finish(Slot& slot, CURLcode code) {
  HttpResponse& response = slot.response;
  curl_off_t sent = 0;
  curl_easy_getinfo(slot.easy.get(), CURLINFO_RESPONSE_CODE, &response.status);
  curl_easy_getinfo(slot.easy.get(), CURLINFO_SIZE_UPLOAD_T, &sent);
  response.sent = sent > 0 || response.status > 0;
  response.timed_out = code == CURLE_OPERATION_TIMEDOUT;
  response.fatal = is_fatal(code);
  if (code != CURLE_OK && response.error.empty()) response.error = curl_easy_strerror(code);
  curl_multi_remove_handle(multi.get(), slot.easy.get());
  slot.busy = false;
  --in_flight;
}

void HttpClient::poll(double seconds, const std::function<void(size_t, HttpResponse&)>& done) {
  CURLM* const multi = impl_->multi.get();
  int running = 0;
  curl_multi_perform(multi, &running);
  int queued = 0;
  CURLMsg* message = curl_multi_info_read(multi, &queued);
  if (message == nullptr) {
    const CURLMcode polled = curl_multi_poll(
        multi, nullptr, 0, static_cast<int>(std::ceil(1000 * std::max(0.0, seconds))), nullptr);
    if (polled != CURLM_OK) fail("label", "libcurl: {}", curl_multi_strerror(polled));
    curl_multi_perform(multi, &running);
    message = curl_multi_info_read(multi, &queued);
  }
  for (; message != nullptr; message = curl_multi_info_read(multi, &queued)) {
    if (message->msg != CURLMSG_DONE) continue;
    char* user = nullptr;
    curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &user);
    Impl::Slot& slot = *reinterpret_cast<Impl::Slot*>(user);
    impl_->finish(slot, message->data.result);
    HttpResponse response = std::move(slot.response);
    done(static_cast<size_t>(&slot - impl_->slots.data()), response);
  }
}

}  // namespace dmoerm::label
