#include "dmoerm/label/builtin_prompts.h"

namespace dmoerm::label {

const char* english_tasks_file() {
  return R"TOML(language = "en"

[template]
message = """
Given a question and two replies, judge which of reply 1 and reply 2 is better in respect of {point}.
{definition}
Judge {point} alone, not the replies' quality in other respects, their length or their order. Begin your answer with 1 or 2.

[Question]
{question}

[Reply 1]
{reply_1}

[Reply 2]
{reply_2}
"""
roles = {system = "System", user = "User", assistant = "Assistant"}

[[task]]
name = "roleplay"
aliases = ["角色扮演"]
points = [
  "character_setting_and_emotional_investment", "conversational_sense", "empathy_ability",
  "manifestation_of_relationship_traits", "personalized_characteristic_expression", "content_richness",
]
[task.titles]
character_setting_and_emotional_investment = "character setting and emotional investment"
conversational_sense = "conversational sense"
empathy_ability = "empathy"
manifestation_of_relationship_traits = "showing the traits of the relationship"
personalized_characteristic_expression = "personal expression of the character"
content_richness = "richness of content"
[task.definitions]
character_setting_and_emotional_investment = "This means: the reply stays in the character that was set, and speaks with the feelings that this character has in the scene."
conversational_sense = "This means: the reply sounds like a person in this conversation, takes up what was said last, and leaves something to answer."
empathy_ability = "This means: the reply notices what the other person feels, takes it seriously, and answers the feeling and not only the words."
manifestation_of_relationship_traits = "This means: closeness, rank, forms of address and shared past between the characters show in how the reply speaks."
personalized_characteristic_expression = "This means: wording, habits and views belong to this character and could not come from anybody."
content_richness = "This means: the reply brings details, actions or ideas that carry the scene on, and does not repeat or fill."

[[task]]
name = "chat"
aliases = ["闲聊"]
points = ["conversational_sense", "proactivity", "emotion_expression", "empathy_ability", "content_richness"]
[task.titles]
conversational_sense = "conversational sense"
proactivity = "proactivity"
emotion_expression = "expression of emotion"
empathy_ability = "empathy"
content_richness = "richness of content"
[task.definitions]
conversational_sense = "This means: the reply sounds like a person in a conversation, fits what was said before, and is neither stiff nor a lecture."
proactivity = "This means: the reply carries the conversation on by itself: it asks, proposes, or opens a subject that fits."
emotion_expression = "This means: the reply expresses feelings that fit the situation, in a natural measure."
empathy_ability = "This means: the reply notices what the other person feels, takes it seriously, and answers the feeling and not only the words."
content_richness = "This means: the reply has something to say: concrete details, experiences or thoughts, and no empty phrases."

[[task]]
name = "subj_qa"
aliases = ["主观知识问答"]
points = ["convincing_ability", "logic", "viewpoint_richness", "breadth_of_knowledge", "question_specific"]
[task.titles]
convincing_ability = "power to convince"
logic = "logic"
viewpoint_richness = "richness of viewpoints"
breadth_of_knowledge = "breadth of knowledge"
question_specific = "answering this very question"
[task.definitions]
convincing_ability = "This means: its view is supported by reasons, examples or facts that would win over a sceptical reader."
logic = "This means: its statements follow from one another, in a clear order and without contradiction or gaps."
viewpoint_richness = "This means: it considers several points of view that differ in substance, and weighs them."
breadth_of_knowledge = "This means: it draws on knowledge of several fields or sources, rightly and to the purpose."
question_specific = "This means: it answers what was asked, in this case and for this person, and not a neighbouring or a general question."

[[task]]
name = "obj_qa"
aliases = ["客观知识问答"]
points = ["correctness", "objectiveness", "reasoning_ability", "logic", "depth_of_knowledge", "question_specific"]
[task.titles]
correctness = "correctness"
objectiveness = "objectivity"
reasoning_ability = "ability to reason"
logic = "logic"
depth_of_knowledge = "depth of knowledge"
question_specific = "answering this very question"
[task.definitions]
correctness = "This means: its facts, figures and its conclusion are true."
objectiveness = "This means: it states facts without bias, opinion or exaggeration, and says what is uncertain."
reasoning_ability = "This means: it reaches its result by right steps from what is given, where steps are needed."
logic = "This means: its statements follow from one another, in a clear order and without contradiction or gaps."
depth_of_knowledge = "This means: it goes beyond the surface: causes, conditions, mechanisms, exact terms."
question_specific = "This means: it answers what was asked, wholly and directly, and not a neighbouring or a general question."

[[task]]
name = "text"
aliases = ["文本创作"]
points = ["intent_conformity", "expressiveness", "readability", "content_richness", "logic"]
[task.titles]
intent_conformity = "conformity with the request"
expressiveness = "expressiveness"
readability = "readability"
content_richness = "richness of content"
logic = "logic"
[task.definitions]
intent_conformity = "This means: the text is what was asked for in subject, genre, style, length and every other condition."
expressiveness = "This means: wording and images are vivid and exact, and have the effect that this kind of text should have."
readability = "This means: the text reads easily: clear sentences, a visible structure, no mistakes."
content_richness = "This means: the text is filled with details, material and ideas, and does not repeat or fill."
logic = "This means: the text is coherent: parts follow from one another, in a clear order and without contradiction."
)TOML";
}

}  // namespace dmoerm::label
