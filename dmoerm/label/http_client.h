// Many POST requests to one address at a time, over libcurl: HTTP/2 over TLS where the server speaks it,
// connections kept, proxies from the environment (https_proxy, no_proxy). Redirects are not followed: what is
// sent, the key too, reaches the address that was named and no other.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace dmoerm::label {

struct HttpOptions {
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  double timeout = 120;              // seconds for a whole request
  size_t max_body = 8 << 20;         // bytes of an answer, unpacked; a longer one is an error
  size_t slots = 16;                 // requests in flight
};

struct HttpResponse {
  long status = 0;  // 0 when there was none
  std::string body;
  std::string error;  // why the answer is not whole; "" when it is
  bool timed_out = false;
  bool sent = false;                  // something reached a server: it may have been paid for
  bool fatal = false;                 // no attempt can succeed: a bad address or certificate
  std::string retry_after, location;  // headers
};

class HttpClient {
 public:
  // Error for an address that is not http or https, or that holds a user's name or password.
  explicit HttpClient(const HttpOptions& options);
  ~HttpClient();

  // Sends `body` from slot `slot` < slots, which must be free. The body lives until it is answered.
  void start(size_t slot, std::string_view body);
  // Waits at most `seconds` for something to happen, then calls `done` for every slot that was answered; the
  // slot is free before the call.
  void poll(double seconds, const std::function<void(size_t slot, HttpResponse& response)>& done);
  size_t in_flight() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace dmoerm::label
