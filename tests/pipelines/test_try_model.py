"""`dcclip try` says what it asks in other characters, and what the model cannot know."""

from pipelines.try_model import ask_as_learned
from training.tokenizer import train_tokenizer


def test_labels_are_asked_in_the_characters_that_were_learned(capsys):
    tokenizer = train_tokenizer(["柠檬", "一只猫", "a red lemon"], vocab_size=300, max_tokens=12)
    asked = ask_as_learned(["檸檬", "柠檬", "ｌｅｍｏｎ", "龘"], tokenizer)
    assert asked == ["柠檬", "柠檬", "ｌｅｍｏｎ", "龘"]
    first, second = capsys.readouterr().err.splitlines()
    assert first == "檸檬 is asked as 柠檬: this model has learned simplified characters"
    assert second == "龘: this model has not learned all of it"
