#include "tests/label/scripted_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <optional>
#include <stdexcept>

#include "dmoerm/core/json.h"

namespace dmoerm::label {
namespace {

bool send_all(int connection, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(connection, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

// What has been received stays in `buffer` until a request has used it.
bool receive_until(int connection, std::string& buffer, const std::function<bool()>& enough) {
  while (!enough()) {
    char block[16384];
    const ssize_t got = recv(connection, block, sizeof block, 0);
    if (got <= 0) return false;
    buffer.append(block, static_cast<size_t>(got));
  }
  return true;
}

std::optional<ScriptedRequest> receive_request(int connection, std::string& buffer) {
  size_t end = 0;
  if (!receive_until(connection, buffer,
                     [&] { return (end = buffer.find("\r\n\r\n")) != std::string::npos; }))
    return std::nullopt;
  ScriptedRequest request;
  const size_t path = buffer.find(' ') + 1;
  request.path = buffer.substr(path, buffer.find(' ', path) - path);
  for (size_t at = buffer.find("\r\n") + 2; at < end + 2;) {
    const size_t line_end = buffer.find("\r\n", at), colon = buffer.find(':', at);
    std::string name = buffer.substr(at, colon - at);
    std::transform(name.begin(), name.end(), name.begin(), [](unsigned char c) { return std::tolower(c); });
    const size_t value = buffer.find_first_not_of(' ', colon + 1);
    request.headers[name] = buffer.substr(value, line_end - value);
    at = line_end + 2;
  }
  const size_t length = std::stoul(request.headers["content-length"]);
  if (!receive_until(connection, buffer, [&] { return buffer.size() >= end + 4 + length; }))
    return std::nullopt;
  request.body = buffer.substr(end + 4, length);
  buffer.erase(0, end + 4 + length);
  return request;
}

}  // namespace

ScriptedReply chat_reply(const std::string& content, int prompt_tokens, int completion_tokens) {
  const Json message = {{"role", "assistant"}, {"content", content}};
  return {.body = dump_json({{"id", "chatcmpl-1"},
                             {"object", "chat.completion"},
                             {"choices", {{{"index", 0}, {"message", message}, {"finish_reason", "stop"}}}},
                             {"usage",
                              {{"prompt_tokens", prompt_tokens},
                               {"completion_tokens", completion_tokens},
                               {"total_tokens", prompt_tokens + completion_tokens}}}})};
}

std::string last_message(const ScriptedRequest& request) {
  return Json::parse(request.body).at("messages").back().at("content").get<std::string>();
}

ScriptedServer::ScriptedServer(Script script) : script_(std::move(script)) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 || listen(listener_, 1024) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0)
    throw std::runtime_error("no port to listen on");
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { accept_connections(); });
}

ScriptedServer::~ScriptedServer() {
  stopping_ = true;
  shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  {
    const std::lock_guard lock(connections_mutex_);
    for (const int connection : connections_) shutdown(connection, SHUT_RDWR);
  }
  for (std::thread& thread : threads_) thread.join();
  close(listener_);
}

std::string ScriptedServer::endpoint() const {
  return "http://127.0.0.1:" + std::to_string(port_) + "/v1";
}

void ScriptedServer::accept_connections() {
  while (!stopping_) {
    const int connection = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (connection < 0) continue;
    const int on = 1;
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const std::lock_guard lock(connections_mutex_);
    connections_.insert(connection);
    threads_.emplace_back([this, connection] { serve(connection); });
  }
}

void ScriptedServer::serve(int connection) {
  std::string buffer;
  while (!stopping_) {
    const auto request = receive_request(connection, buffer);
    if (!request || !answer(connection, *request)) break;
  }
  const std::lock_guard lock(connections_mutex_);
  connections_.erase(connection);
  close(connection);
}

// Whether the connection stays open.
bool ScriptedServer::answer(int connection, const ScriptedRequest& request) {
  using Ending = ScriptedReply::Ending;
  ++num_requests_;
  const int64_t now = ++in_flight_;
  for (int64_t most = most_in_flight_; now > most && !most_in_flight_.compare_exchange_weak(most, now);) {
  }
  ScriptedReply reply;
  {
    const std::lock_guard lock(script_mutex_);
    reply = script_(request);
  }
  wait(reply.ending == Ending::Silence ? 1e9 : reply.delay);
  --in_flight_;
  if (reply.ending == Ending::NoAnswer || reply.ending == Ending::Silence) return false;
  std::string text =
      "HTTP/1.1 " + std::to_string(reply.status) + " Scripted\r\nContent-Type: application/json\r\n";
  for (const std::string& header : reply.headers) text += header + "\r\n";
  text += "Content-Length: " + std::to_string(reply.body.size()) + "\r\n\r\n";
  if (reply.ending == Ending::InTheBody) {
    send_all(connection, text + reply.body.substr(0, reply.body.size() / 2));
    return false;
  }
  return send_all(connection, text + reply.body);
}

void ScriptedServer::wait(double seconds) const {
  const auto end = std::chrono::steady_clock::now() + std::chrono::duration<double>(std::min(seconds, 1e6));
  while (!stopping_ && std::chrono::steady_clock::now() < end)
    std::this_thread::sleep_for(std::min<std::chrono::duration<double>>(
        std::chrono::milliseconds(20), end - std::chrono::steady_clock::now()));
}

}  // namespace dmoerm::label
