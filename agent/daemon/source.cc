#include "agent/daemon/source.h"

namespace stickmesh::daemon {

pipeline::Source source_of(const net::SocketAddress& address) {
  pipeline::Source source;
  source.text = address.to_string();
  if (!address.is_ip()) return source;
  source.host = source.text.substr(0, source.text.rfind(':'));
  if (source.host.starts_with('[')) source.host = source.host.substr(1, source.host.size() - 2);
  return source;
}

}  // namespace stickmesh::daemon
