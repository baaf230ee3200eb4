// An HTTP/1.1 server on loopback that does what a script says, misbehaviour included.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

namespace dmoerm::label {

struct ScriptedRequest {
  std::string path = {};
  std::map<std::string, std::string> headers = {};  // names in lower case
  std::string body = {};
};

struct ScriptedReply {
  enum class Ending {
    Whole,
    NoAnswer,   // the connection is closed before a byte is sent
    InTheBody,  // it is closed when half of the stated body has been sent
    Silence     // nothing is ever sent
  };
  int status = 200;
  std::string body = {};
  std::vector<std::string> headers = {};  // "Name: value"
  double delay = 0;                       // seconds
  Ending ending = Ending::Whole;
};

// A chat completion whose message is `content`.
ScriptedReply chat_reply(const std::string& content, int prompt_tokens = 100, int completion_tokens = 1);
// The content of the request's last message.
std::string last_message(const ScriptedRequest& request);

class ScriptedServer {
 public:
  using Script = std::function<ScriptedReply(const ScriptedRequest&)>;

  // One call of the script at a time; replies are sent, and delayed, side by side.
  explicit ScriptedServer(Script script);
  ~ScriptedServer();

  std::string endpoint() const;  // "http://127.0.0.1:PORT/v1"
  int64_t num_requests() const { return num_requests_; }
  int64_t most_in_flight() const { return most_in_flight_; }

 private:
  void accept_connections();
  void serve(int connection);
  bool answer(int connection, const ScriptedRequest& request);
  void wait(double seconds) const;

  Script script_;
  int listener_ = -1, port_ = 0;
  std::atomic<bool> stopping_ = false;
  std::atomic<int64_t> num_requests_ = 0, in_flight_ = 0, most_in_flight_ = 0;
  std::mutex script_mutex_, connections_mutex_;
  std::set<int> connections_;
  std::vector<std::thread> threads_;  // of connections
  std::thread acceptor_;
};

}  // namespace dmoerm::label
