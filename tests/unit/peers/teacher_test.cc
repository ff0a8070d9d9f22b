#include "tests/unit/peers/session_fixture.h"

namespace stickmesh::peers {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class TeacherTest : public SessionTest {};

TEST_F(TeacherTest, ALessonIsGivenAndItsConfirmationHandedOn) {
  establish();
  handler.on_lesson_requested = [this] {
    session->select(1, vectors::src_table());
    session->append_update(from_hex(vectors::kSrcTimed));
    session->finish_lesson(/*complete=*/true, now);
  };
  receive_all({vectors::kResyncRequest});
  EXPECT_EQ(drain(), plain(vectors::kDefineSrc) + plain(vectors::kSrcTimed) + plain(vectors::kFinished));
  receive_all({vectors::kConfirm});
  EXPECT_THAT(handler.take_calls(), ElementsAre("lesson requested", "lesson confirmed"));
}

TEST_F(TeacherTest, AnIncompleteLessonIsPartial) {
  establish();
  receive_all({vectors::kResyncRequest});
  EXPECT_EQ(drain(), "");
  session->finish_lesson(/*complete=*/false, now);
  EXPECT_EQ(drain(), plain(vectors::kPartial));
}

TEST_F(TeacherTest, ARequestIsAnsweredOnceAndNoneUnasked) {
  establish();
  session->finish_lesson(/*complete=*/true, now);
  EXPECT_EQ(drain(), "");
  receive_all({vectors::kResyncRequest});
  session->finish_lesson(/*complete=*/true, now);
  session->finish_lesson(/*complete=*/true, now);
  EXPECT_EQ(drain(), plain(vectors::kFinished));
  EXPECT_EQ(session->traffic().lessons_out, 1U);
}

TEST_F(TeacherTest, ANewRequestRestartsTheLesson) {
  establish();
  receive_all({vectors::kResyncRequest, vectors::kResyncRequest});
  session->finish_lesson(/*complete=*/true, now);
  receive_all({vectors::kConfirm, vectors::kResyncRequest});
  session->finish_lesson(/*complete=*/true, now);
  EXPECT_EQ(drain(), plain(vectors::kFinished) + plain(vectors::kFinished));
  EXPECT_THAT(handler.take_calls(),
              ElementsAre("lesson requested", "lesson requested", "lesson confirmed", "lesson requested"));
}

TEST_F(TeacherTest, AConfirmationOfNothingIsIgnored) {
  establish();
  receive_all({vectors::kConfirm});
  EXPECT_THAT(handler.take_calls(), IsEmpty());
  receive_all({vectors::kResyncRequest});
  session->finish_lesson(/*complete=*/true, now);
  receive_all({vectors::kConfirm, vectors::kConfirm});
  EXPECT_THAT(handler.take_calls(), ElementsAre("lesson requested", "lesson confirmed"));
}

}  // namespace
}  // namespace stickmesh::peers
