#pragma once

#include <memory>
#include <string>

#include "agent/admin/cli_session.h"
#include "agent/base/result.h"

namespace stickmesh::admin {

std::unique_ptr<Answer> text_answer(std::string text);
/// "error: REASON: DETAIL", by which `stickmeshctl` knows to exit with 1.
std::unique_ptr<Answer> error_answer(const Error& error);

}  // namespace stickmesh::admin
